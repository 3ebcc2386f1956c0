/** Calls over a port that holds what it is given: order, the window, refusals, pressure, and every reply to its own promise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, hasCode, MillraceError, statusOf } from '../../../src/base/errors.js';
import {
	opDecide,
	opDelete,
	opGet,
	opPrepare,
	opPut,
	opStats,
	wishDefault,
} from '../../../src/command/command-format.js';
import { callFound, callValue, callVersion } from '../../../src/engine/call-slots.js';
import { Calls } from '../../../src/engine/calls.js';
import type { Pressure } from '../../../src/engine/pressure.js';
import { FakePort, numberOf } from '../../support/fake-port.js';
import { testSeed } from '../../support/seed.js';

const large = 1 << 30;
const get = (calls: Calls, key: string): Promise<unknown> => calls.callKey(callValue, opGet, key);
const put = (calls: Calls, key: string, value: string | Uint8Array): Promise<unknown> =>
	calls.callWrite(callVersion, opPut, 0, 0, key, value, 0, wishDefault);

async function mustReject(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
	await assert.rejects(promise, (error) => hasCode(error, code) || assert.fail(`${code} expected: ${String(error)}`));
}

type Step =
	| { readonly kind: 'put'; readonly key: number; readonly size: number }
	| { readonly kind: 'get'; readonly key: number }
	| { readonly kind: 'delete'; readonly key: number }
	| { readonly kind: 'many'; readonly keys: readonly number[] }
	| { readonly kind: 'all' }
	| { readonly kind: 'answer'; readonly choice: number; readonly isEnd: boolean };

const keyNumber = fc.nat(6);
/** Of different sizes, so that one is not taken for another. */
const keyOf = (number: number): string => `key ${number}`.padEnd(6 + number * 5, '.');
const steps: fc.Arbitrary<Step[]> = fc.array(
	fc.oneof(
		{ weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), key: keyNumber, size: fc.nat(300) }) },
		{ weight: 2, arbitrary: fc.record({ kind: fc.constant('get' as const), key: keyNumber }) },
		{
			weight: 1,
			arbitrary: fc.record({ kind: fc.constant('many' as const), keys: fc.array(keyNumber, { minLength: 1 }) }),
		},
		{ weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: keyNumber }) },
		{ weight: 1, arbitrary: fc.record({ kind: fc.constant('all' as const) }) },
		{
			weight: 4,
			arbitrary: fc.record({ kind: fc.constant('answer' as const), choice: fc.nat(1000), isEnd: fc.boolean() }),
		},
	),
	{ maxLength: 200 },
);

test('any order of calls and answers: each reply to its promise, order in each partition, window never exceeded', async () => {
	const property = fc.asyncProperty(
		steps,
		fc.constantFrom(1, 3),
		fc.constantFrom(100, 700),
		fc.constantFrom(150, 900, large),
		async (all, partitionCount, ringSize, windowSize) => {
			const port = new FakePort(partitionCount, ringSize);
			const calls = new Calls(port, windowSize);
			const promises: Promise<unknown>[] = [];
			const expected: unknown[] = [];
			const asked: string[][] = port.taken.map(() => []);
			const expect = (promise: Promise<unknown>, value: unknown): void => {
				promises.push(promise);
				expected.push(value);
			};
			const note = (opcode: number, key: string, value = ''): void => {
				const bytes = Buffer.from(key);
				asked[port.partitionOf(bytes, 0, bytes.length)].push(`${opcode} ${key} ${value}`);
			};
			for (const [i, step] of all.entries()) {
				if (step.kind === 'put') {
					const value = Buffer.from(String.fromCharCode(0x41 + (i % 26)).repeat(step.size));
					note(opPut, keyOf(step.key), value.toString());
					expect(put(calls, keyOf(step.key), value), { version: numberOf(value.toString()) });
					// Copied, also what waits.
					value.fill(0);
				} else if (step.kind === 'get') {
					note(opGet, keyOf(step.key));
					expect(get(calls, keyOf(step.key)), Buffer.from(keyOf(step.key)));
				} else if (step.kind === 'delete') {
					note(opDelete, keyOf(step.key));
					expect(calls.callKey(callFound, opDelete, keyOf(step.key)), true);
				} else if (step.kind === 'many') {
					const keys = step.keys.map(keyOf);
					for (const key of keys) note(opGet, key);
					expect(
						calls.getMany(keys),
						keys.map((key) => Buffer.from(key)),
					);
				} else if (step.kind === 'all') {
					for (const list of asked) list.push(`${opStats}  `);
					expect(
						calls.askAll({ opcode: opStats }),
						asked.map(() => ({ status: 0, number: 0, value: undefined })),
					);
				} else {
					const busy = port.taken.flatMap((commands, partition) => commands.map((_, index) => ({ partition, index })));
					const chosen = busy[step.choice % Math.max(1, busy.length)];
					if (chosen !== undefined) port.answer(chosen.partition, chosen.index);
					if (step.isEnd) port.endBurst();
				}
				const inFlight = port.taken.flat();
				assert.ok(port.inFlightSize <= windowSize || inFlight.length === 1, 'the window holds, but for one alone');
			}
			port.answerAll();
			assert.deepEqual(await Promise.all(promises), expected);
			assert.deepEqual(
				port.seen.map((commands) => commands.map(({ opcode, key, value }) => `${opcode} ${key} ${value}`)),
				asked,
			);
			assert.equal(calls.count, 0);
			assert.deepEqual(calls.pressure, { level: 0, reason: 'none' });
		},
	);
	await fc.assert(property, { seed: testSeed('calls'), numRuns: 300 });
});

test('a full partition holds up its own calls only, and what must pass goes first', async () => {
	const port = new FakePort(2, 60);
	const calls = new Calls(port, large);
	const own: string[] = [];
	const others: string[] = [];
	for (let i = 0; own.length < 3 || others.length < 1; i++) {
		const key = `k${i}`;
		(port.partitionOf(Buffer.from(key), 0, key.length) === 0 ? own : others).push(key);
	}
	const all = own.slice(0, 3).map((key) => put(calls, key, 'v'.repeat(40)));
	assert.equal(port.taken[0].length, 1);
	all.push(get(calls, others[0]));
	assert.equal(port.taken[1].length, 1, 'the other partition is not waited for');
	all.push(calls.ask(0, { opcode: opDecide, value: Buffer.from('decision') }));
	port.answer(0, 0);
	port.endBurst();
	assert.equal(port.seen[0][1].opcode, opDecide);
	port.answerAll();
	await Promise.all(all);
	assert.deepEqual(
		port.seen[0].map(({ key }) => key),
		[own[0], '', own[1], own[2]],
	);
});

test('prepares and decisions of a batch never wait for the window, which may be full of what waits for the batch', async () => {
	const port = new FakePort(2, large);
	const calls = new Calls(port, 200);
	const keys: string[][] = [[], []];
	for (let i = 0; keys.some((some) => some.length < 3); i++) {
		const key = `k${i}`;
		const some = keys[port.partitionOf(Buffer.from(key), 0, key.length)];
		if (some.length < 3) some.push(key);
	}
	const opcodes = (partition: number): number[] => port.seen[partition].map(({ opcode }) => opcode);
	const all = [calls.ask(0, { opcode: opPrepare, value: Buffer.alloc(150) })];
	all.push(...keys[0].map((key) => put(calls, key, 'v'.repeat(90)) as Promise<never>));
	all.push(...keys[1].map((key) => put(calls, key, 'v'.repeat(90)) as Promise<never>));
	assert.deepEqual([opcodes(0), opcodes(1)], [[opPrepare], []], 'the window is full');
	all.push(calls.ask(1, { opcode: opPrepare, value: Buffer.alloc(150) }));
	assert.deepEqual(opcodes(1), [opPut, opPut, opPut, opPrepare], 'in the order asked');
	assert.deepEqual(opcodes(0), [opPrepare], 'others go on waiting');
	all.push(calls.ask(0, { opcode: opDecide, value: Buffer.from('decision') }));
	assert.deepEqual(opcodes(0), [opPrepare, opDecide]);
	all.push(put(calls, keys[1][0], 'w') as Promise<never>);
	assert.equal(opcodes(1).length, 4, 'the window holds for the rest again');
	while (calls.count > 0) {
		port.answerAll();
		port.endBurst();
	}
	await Promise.all(all);
	assert.deepEqual(opcodes(0), [opPrepare, opDecide, opPut, opPut, opPut]);
});

test('beyond what may wait calls are refused with nothing sent, and taken again when there is room', async () => {
	const port = new FakePort(1, large);
	const calls = new Calls(port, 200, 1000);
	const events: Pressure[] = [];
	calls.onPressure = (pressure) => events.push(pressure);
	const accepted: Promise<unknown>[] = [];
	let refused: Promise<unknown> | undefined;
	for (let i = 0; refused === undefined && i < 1000; i++) {
		const count = calls.count;
		const call = put(calls, `k${i}`, 'v'.repeat(70));
		if (calls.count === count) refused = call;
		else accepted.push(call);
	}
	await mustReject('MILLRACE_BUSY', refused ?? Promise.resolve());
	await mustReject('MILLRACE_BUSY', calls.askAll({ opcode: opStats, value: Buffer.alloc(90) }));
	await mustReject('MILLRACE_BUSY', calls.getMany(['a'.repeat(100)]));
	assert.ok(accepted.length > 8 && calls.pressure.level > 0.9);
	assert.equal(calls.pressure.reason, 'waiting');
	assert.deepEqual(
		events.map(({ level }) => (level >= 0.9 ? 2 : 1)),
		[1, 2],
	);
	port.answerAll();
	await Promise.all(accepted);
	assert.deepEqual(events.at(-1), { level: 0, reason: 'none' });
	assert.equal(events.length, 4, 'into two bands and out of them again, not at every line');
	const again = put(calls, 'again', 'v');
	port.answerAll();
	assert.deepEqual(await again, { version: numberOf('v') });
	assert.equal(port.seen[0].length, accepted.length + 1);
});

test('a call larger than the window goes alone; the reason is what is full', async () => {
	const port = new FakePort(1, 200);
	const calls = new Calls(port, 1000);
	const first = put(calls, 'k', 'v'.repeat(5000));
	assert.equal(port.taken[0].length, 1);
	const second = put(calls, 'k', 'v');
	assert.equal(calls.pressure.reason, 'window');
	port.answerAll();
	const small = Array.from({ length: 6 }, (_, i) => put(calls, `k${i}`, 'v'.repeat(30)));
	assert.equal(calls.pressure.reason, 'ring');
	port.answerAll();
	await Promise.all([first, second, ...small]);
});

test('errors reach the call they are about; getMany ends with the first, when all parts have answered', async () => {
	const port = new FakePort(1, large);
	const calls = new Calls(port, large);
	const failing = put(calls, 'k', 'v');
	const fine = get(calls, 'k');
	port.answer(0, 0, statusOf('MILLRACE_DISK_FULL'), 'no room');
	port.answer(0, 0);
	await assert.rejects(failing, { code: 'MILLRACE_DISK_FULL', message: 'no room' });
	assert.deepEqual(await fine, Buffer.from('k'));
	const many = calls.getMany(['a', 'b', 'c']);
	port.answer(0, 1, statusOf('MILLRACE_CORRUPT'), 'first');
	port.answer(0, 0);
	port.answer(0, 0, statusOf('MILLRACE_CORRUPT'), 'second');
	await assert.rejects(many, { code: 'MILLRACE_CORRUPT', message: 'first' });
	const bad = calls.getMany(['a', 7 as unknown as string, 'c']);
	port.answerAll();
	await assert.rejects(bad, TypeError);
	assert.equal(calls.count, 0);
});

test('refused: what takes several steps goes on; ended: nothing does, and what waits is rejected', async () => {
	const port = new FakePort(1, 60);
	const calls = new Calls(port, large);
	const before = [put(calls, 'a', 'v'.repeat(40)), put(calls, 'b', 'v'.repeat(40))];
	calls.refuse(() => new MillraceError('MILLRACE_CLOSED', 'closing'));
	await mustReject('MILLRACE_CLOSED', get(calls, 'a'));
	await mustReject('MILLRACE_CLOSED', calls.getMany(['a']));
	assert.throws(() => calls.mustBeOpen(), { code: 'MILLRACE_CLOSED' });
	let isIdle = false;
	const idle = calls.idle().then(() => {
		isIdle = true;
	});
	const step = calls.ask(0, { opcode: opStats });
	port.answer(0, 0);
	port.endBurst();
	await Promise.resolve();
	assert.equal(isIdle, false);
	port.answerAll();
	await Promise.all([...before, step, idle]);
	const late = [calls.ask(0, { opcode: opStats, value: Buffer.alloc(50) }), calls.ask(0, { opcode: opStats })];
	calls.end(() => new MillraceError('MILLRACE_WORKER_DIED', 'dead'));
	for (const call of late) await mustReject('MILLRACE_WORKER_DIED', call);
	await mustReject('MILLRACE_WORKER_DIED', calls.askAll({ opcode: opStats }));
	await calls.idle();
});
