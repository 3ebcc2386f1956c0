/** Several asking threads at one partition: whose reply goes where, who gets how much, and what one that takes nothing costs. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { statusNotFound, statusOf, statusOk } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import {
	flagReturnOld,
	opCount,
	opGet,
	opPut,
	opScan,
	opShutdown,
	opStats,
} from '../../../src/command/command-format.js';
import { testSeed } from '../../support/seed.js';
import { LoopRig, type RigReply } from './loop-rig.js';

const big = 'b'.repeat(10_000);

const statisticsOf = (rig: LoopRig, held: readonly 'flush'[] = []): Record<string, number> =>
	JSON.parse(rig.ask({ opcode: opStats }, held).text) as Record<string, number>;

const countOf = (replies: readonly RigReply[], channel: number): number =>
	replies.filter((reply) => reply.channel === channel).length;

test('each thread gets the answers to its own requests, held or not, also when all have the same sink', () => {
	const rig = new LoopRig();
	for (const channel of [1, 2, 300_000]) rig.attach(channel);
	for (let i = 0; i < 20; i++) {
		for (const channel of [0, 1, 2, 300_000]) {
			rig.send(`${channel} put`, { opcode: opPut, key: `${channel} ${i}`, value: `of ${channel}`, channel });
			rig.send(`${channel} get`, { opcode: opGet, key: `${channel} ${i}`, channel });
		}
		if (i % 3 === 0) rig.turn();
	}
	rig.turn();
	assert.deepEqual(rig.takeReplies(), [], 'nothing is visible before it is durable');
	rig.runLog();
	const replies = rig.takeReplies();
	assert.equal(replies.length, 160);
	for (const { name, channel, status, text } of replies) {
		assert.deepEqual([name.startsWith(`${channel} `), status], [true, statusOk]);
		if (name.endsWith('get')) assert.equal(text, `of ${channel}`);
	}
	rig.turn();
	rig.runLog();
	assert.deepEqual(rig.takeReplies(), [], 'once each');
});

test('a turn is shared: equally by those who have much, and what some do not use goes to the others', () => {
	const rig = new LoopRig();
	for (const channel of [1, 2, 3]) rig.attach(channel);
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	const ask = (channel: number, count: number): void => {
		for (let i = 0; i < count; i++) rig.send('get', { opcode: opGet, key: 'k', channel });
	};
	ask(0, 2000);
	ask(1, 2000);
	ask(2, 2000);
	ask(3, 10);
	rig.turn();
	const first = rig.takeReplies();
	const shares = [0, 1, 2].map((channel) => countOf(first, channel));
	assert.ok(Math.max(...shares) - Math.min(...shares) <= 32, String(shares));
	assert.equal(countOf(first, 3), 10);
	assert.ok(first.length >= 512 && first.length < 600, 'a turn has its bound');
	let turns = 1;
	for (let count = first.length; count < 6010; turns++) {
		rig.turn();
		const replies = rig.takeReplies();
		count += replies.length;
		const left = [0, 1, 2].map((channel) => countOf(replies, channel));
		assert.ok(Math.max(...left) - Math.min(...left) <= 64, `turn ${turns}: ${left}`);
	}
	ask(1, 700);
	rig.turn();
	assert.ok(rig.takeReplies().length >= 512, 'one alone has all of it');
});

test('a thread that takes no replies holds up nobody, whoever it is; when it does, it gets each once', () => {
	for (const deaf of [0, 1]) {
		const rig = new LoopRig({}, { ringSize: 1 << 16 });
		rig.attach(1, 1 << 16);
		rig.attach(2);
		const loud = [0, 1, 2].filter((channel) => channel !== deaf);
		const sent: string[] = [];
		const heard: string[] = [];
		let isFull = false;
		for (let round = 0; round < 60; round++) {
			for (let i = 0; i < 8; i++) {
				isFull ||= !rig.hasRoom(deaf, big.length + 100);
				if (isFull) break;
				const name = `deaf ${round} ${i}`;
				sent.push(name);
				// Replies of some 10 kB through both rings, few and many to the ring.
				if (i === 0) rig.send(name, { opcode: opPut, key: 'big', value: big, channel: deaf });
				else if (i < 4) rig.send(name, { opcode: opGet, key: 'big', channel: deaf });
				else if (i === 4) rig.send(name, { opcode: opScan, channel: deaf });
				else if (i === 5) rig.send(name, { opcode: opCount, channel: deaf });
				else rig.send(name, { opcode: opPut, key: 'big', value: big, flags: flagReturnOld, channel: deaf });
			}
			for (const channel of loud) {
				rig.send(`loud ${round}`, { opcode: opPut, key: `k${channel}`, value: String(round), channel });
				rig.send(`loud ${round}`, { opcode: opGet, key: `k${channel}`, channel });
			}
			rig.settle();
			const replies = rig.takeReplies(loud);
			assert.equal(replies.length, 4, `round ${round}`);
			for (const { status } of replies) assert.equal(status, statusOk);
		}
		assert.ok(isFull, 'it was not listened to any longer');
		if (deaf !== 0) {
			const { backloggedReplies, backloggedBytes } = statisticsOf(rig);
			assert.ok(backloggedReplies > 0 && backloggedBytes < 100_000, `${backloggedReplies} of ${backloggedBytes} bytes`);
		}
		for (let idle = 0; idle < 3; ) {
			const replies = rig.takeReplies([deaf], 2);
			for (const { name, status } of replies) {
				assert.equal(status, statusOk, name);
				heard.push(name);
			}
			rig.settle();
			idle = replies.length > 0 ? 0 : idle + 1;
		}
		assert.deepEqual(heard.sort(), sent.sort());
		const { backloggedReplies, backloggedBytes } = statisticsOf(rig);
		assert.deepEqual([backloggedReplies, backloggedBytes], [0, 0]);
	}
});

test('when the log fails, every held reply of every thread becomes an error, those left behind too', () => {
	const rig = new LoopRig();
	rig.attach(1, 1 << 14);
	rig.attach(2);
	for (let i = 0; i < 5; i++) rig.ask({ opcode: opPut, key: `${i}`, value: 'durable' });
	rig.send('published', { opcode: opPut, key: 'k', value: 'v', channel: 2 });
	rig.settle();
	const sent: string[] = [];
	for (let i = 0; i < 12; i++) {
		for (const channel of [0, 1, 2]) {
			const name = `${channel} put ${i}`;
			sent.push(name);
			rig.send(name, { opcode: opPut, key: 'k', value: 'w'.repeat(1500), flags: flagReturnOld, channel });
		}
		rig.turn();
	}
	assert.ok(rig.host.partition.lastSequence > 6);
	rig.failLog();
	const replies: RigReply[] = [];
	for (let i = 0; i < 50; i++) {
		rig.turn();
		replies.push(...rig.takeReplies());
	}
	assert.equal(replies.find(({ name }) => name === 'published')?.status, statusOk);
	const rest = replies.filter(({ name }) => name !== 'published');
	assert.deepEqual(rest.map(({ name }) => name).sort(), sent.sort());
	for (const { name, channel, status, text } of rest) {
		assert.deepEqual([channel, status], [Number(name[0]), statusOf('MILLRACE_POISONED')], text);
	}
	rig.runJobs();
	const poisoned = rig.mail.filter(({ type }) => type === 'poisoned');
	assert.deepEqual(poisoned, [{ type: 'poisoned', error: { code: 'MILLRACE_POISONED', message: 'the log failed' } }]);
	rig.send('get', { opcode: opGet, key: '0', channel: 1 });
	rig.turn();
	assert.equal(rig.takeReplies([1])[0]?.text, 'durable', 'reads go on');
});

test('a thread that has gone leaves nothing behind: not in the rings, not in the log thread, not in the row', () => {
	const rig = new LoopRig();
	for (let channel = 1; channel <= 50; channel++) {
		rig.attach(channel, 1 << 14);
		rig.send('put', { opcode: opPut, key: `k${channel}`, value: 'v', channel });
		if (channel % 2 === 0) rig.settle();
		for (let i = 0; i < 5; i++) rig.send('get', { opcode: opGet, key: `k${channel}`, channel });
		rig.send('put', { opcode: opPut, key: `k${channel}`, value: big.slice(0, 3000), channel });
		for (let i = 0; i < 5; i++) rig.send('scan', { opcode: opScan, channel });
		if (channel % 3 === 0) rig.turn();
		if (channel % 5 === 0) rig.settle();
		rig.detach(channel);
		rig.settle();
		assert.deepEqual(rig.mail.pop(), { type: 'detached', channel });
	}
	assert.equal(rig.logChannels.count, 0);
	const { channels, backloggedReplies, waitingRequests } = statisticsOf(rig);
	assert.deepEqual([channels, backloggedReplies, waitingRequests], [1, 0, 0]);
	assert.deepEqual(rig.host.partition.pins.sequences, [], 'no long read is left');
	rig.detach(7);
	rig.settle();
	assert.deepEqual(rig.mail.pop(), { type: 'detached', channel: 7 });
});

test('what a thread has waiting goes with it; others that waited behind go on', () => {
	const rig = new LoopRig();
	rig.attach(1);
	const wide = 'v'.repeat(1000);
	let last = '';
	for (let i = 0, answered = 1; answered > 0; i++) {
		last = `key ${i}`;
		rig.send('put', { opcode: opPut, key: last, value: wide, channel: 1 });
		rig.settle(['flush']);
		answered = rig.takeReplies().length;
	}
	rig.send('of another', { opcode: opPut, key: 'other', value: 'v' });
	rig.settle(['flush']);
	assert.equal(statisticsOf(rig, ['flush']).waitingRequests, 2);
	rig.detach(1);
	rig.settle();
	assert.deepEqual(
		rig.takeReplies().map(({ name, status }) => [name, status]),
		[['of another', statusOk]],
	);
	assert.equal(rig.ask({ opcode: opGet, key: last }).status, statusNotFound);
});

test('a shutdown is answered when the opener takes its replies, and not held up by others who do not', () => {
	const rig = new LoopRig({}, { ringSize: 1 << 14 });
	rig.attach(1, 1 << 14);
	rig.ask({ opcode: opPut, key: 'k', value: 'v'.repeat(3000) });
	for (let i = 0; i < 10; i++) {
		for (const channel of [0, 1]) rig.send(`get ${i}`, { opcode: opGet, key: 'k', channel });
	}
	rig.send('put', { opcode: opPut, key: 'l', value: 'v', channel: 1 });
	rig.send('shutdown', { opcode: opShutdown });
	rig.settle();
	assert.equal(rig.loop.isOver, false, 'the opener has not taken its replies');
	const heard: string[] = [];
	for (let i = 0; !rig.loop.isOver && i < 50; i++) {
		heard.push(...rig.takeReplies([0], 1).map(({ name }) => name));
		rig.settle();
	}
	heard.push(...rig.takeReplies([0]).map(({ name }) => name));
	assert.deepEqual([rig.loop.isOver, heard.length, heard.at(-1)], [true, 11, 'shutdown']);
});

test('random traffic of threads that come and go, and take replies when they like: each answer once, and never too early', () => {
	const prng = new Prng(testSeed('channels'));
	for (let run = 0; run < 30; run++) {
		const rig = new LoopRig({}, { ringSize: 1 << 15 });
		rig.isLogHasty = prng.below(2) === 0;
		const open = new Map<string, { channel: number; isPut: boolean }>();
		const present = [0];
		let next = 1;
		const take = (): void => {
			for (const { name, channel, status, number } of rig.takeReplies([...present], 1 + prng.below(20))) {
				const request = open.get(name);
				assert.equal(request?.channel, channel, `${name} was asked there, and not answered yet`);
				assert.ok(status === statusOk || (status === statusNotFound && !request.isPut), `${name}: ${status}`);
				assert.ok(number <= rig.host.durableSequence, `${name} shows what is durable`);
				open.delete(name);
			}
		};
		for (let step = 0; step < 300; step++) {
			const choice = prng.below(20);
			const channel = present[prng.below(present.length)];
			if (choice < 9) {
				const name = `${run}.${step}`;
				const isPut = prng.below(2) === 0;
				const value = isPut ? `${step}`.padEnd(prng.below(6000), '.') : '';
				if (!rig.hasRoom(channel, 6200)) continue;
				open.set(name, { channel, isPut });
				rig.send(name, { opcode: isPut ? opPut : opGet, key: `k${prng.below(5)}`, value, channel });
			} else if (choice < 13) rig.turn();
			else if (choice < 15) rig.runLog();
			else if (choice < 18) take();
			else if (choice === 18 && present.length < 6) {
				present.push(next);
				rig.attach(next++, 1 << (13 + prng.below(4)));
			} else if (choice === 19 && channel !== 0) {
				present.splice(present.indexOf(channel), 1);
				for (const [name, request] of open) if (request.channel === channel) open.delete(name);
				rig.detach(channel);
			}
		}
		for (let i = 0; open.size > 0 && i < 500; i++) {
			rig.settle();
			take();
		}
		assert.deepEqual([...open.keys()], [], `run ${run}`);
	}
});
