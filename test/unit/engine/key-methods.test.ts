/** What a database makes of options, events and synchronous reads, seen from below: over a session that only notes what comes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../src/base/errors.js';
import { batchCountMax, valueSizeMax } from '../../../src/base/limits.js';
import {
	flagArgument,
	flagIfAbsent,
	flagKeepExpiry,
	flagSequence,
	flagSliding,
	opDelete,
	opHas,
	opPut,
	opSetExpiry,
	wishAlways,
	wishDefault,
	wishNone,
} from '../../../src/command/command-format.js';
import { createDatabaseMemory, GateSlot } from '../../../src/command/database-memory.js';
import type { SyncEntry, SyncReader } from '../../../src/command/sync-reader.js';
import type { Durability } from '../../../src/command/worker-boot.js';
import { Database } from '../../../src/engine/database.js';
import type { PressureEvent } from '../../../src/engine/pressure.js';
import type { DatabaseEvent, Session } from '../../../src/engine/session.js';
import { type FakeCommand, FakePort } from '../../support/fake-port.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

class FakeSession implements Session {
	readonly port: FakePort;
	readonly partitionCount: number;
	readonly durability: Durability;
	readonly inFlightSizeMax = 1000;
	readonly fileSystem = new SimulatedDisk();
	readonly gate = new GateSlot(createDatabaseMemory(), 0);
	death: MillraceError | undefined;
	onEvent: (event: DatabaseEvent) => void = () => undefined;
	/** What synchronous reads find. */
	found: SyncEntry | undefined;
	wantsTouch = false;

	constructor(partitionCount = 2, durability: Durability = 'interval') {
		this.port = new FakePort(partitionCount, 1 << 20);
		this.partitionCount = partitionCount;
		this.durability = durability;
	}

	/** The command asked last. */
	get last(): FakeCommand {
		const last = this.port.taken.flat().at(-1);
		assert.ok(last !== undefined);
		return last;
	}

	syncReader(): SyncReader {
		const session = this;
		return {
			get: () => session.found?.value,
			getEntry: () => session.found,
			get wantsTouch() {
				return session.wantsTouch;
			},
			statistics: () => ({}),
			close: () => undefined,
		};
	}

	makeAttachment(): never {
		throw new TypeError('none');
	}

	close(): Promise<void> {
		return Promise.resolve();
	}
}

test('options become flags, arguments and wishes', async () => {
	const session = new FakeSession();
	const db = new Database(session);
	const rows: [() => Promise<unknown>, Partial<FakeCommand>][] = [
		[() => db.put('k', 'v'), { opcode: opPut, flags: 0, wish: wishDefault, key: 'k', value: 'v' }],
		[() => db.put('k', 'v', {}), { flags: 0, argument: 0, wish: wishDefault }],
		[() => db.put('k', 'v', { expiresAtMs: 7 }), { flags: flagArgument, argument: 7 }],
		[() => db.put('k', 'v', { expiresAtMs: 7, sliding: true }), { flags: flagArgument | flagSliding, argument: 7 }],
		[() => db.put('k', 'v', { ifAbsent: true, keepExpiry: true }), { flags: flagIfAbsent | flagKeepExpiry }],
		[() => db.put('k', 'v', { ifVersion: 0 }), { flags: flagSequence, sequence: 0 }],
		[() => db.delete('k', { ifVersion: 9 }), { opcode: opDelete, flags: flagSequence, sequence: 9 }],
		[() => db.put('k', 'v', { durability: 'always' }), { wish: wishAlways }],
		[() => db.put('k', 'v', { durability: 'interval' }), { wish: wishDefault }],
		[() => db.delete('k', { durability: 'none' }), { wish: wishNone, flags: 0 }],
		[() => db.setExpiry('k'), { opcode: opSetExpiry, flags: 0 }],
		[() => db.setExpiry('k', { durability: 'none' }), { opcode: opSetExpiry, flags: 0, wish: wishNone }],
		[() => db.setExpiry('k', { expiresAtMs: 5 }), { opcode: opSetExpiry, flags: flagArgument, argument: 5 }],
		[() => db.batch([{ type: 'delete', key: 'k' }], { durability: 'always' }), { wish: wishAlways }],
	];
	for (const [call, expected] of rows) {
		const done = call();
		assert.deepEqual({ ...session.last, ...expected }, session.last, String(call));
		session.port.answerAll();
		await done;
	}
	const before = Date.now();
	const timed = db.put('k', 'v', { ttlMs: 1000 });
	assert.ok(session.last.argument >= before + 1000 && session.last.argument <= Date.now() + 1000);
	void db.put('k', 'v', { ttlMs: Number.MAX_SAFE_INTEGER });
	assert.equal(session.last.argument, Number.MAX_SAFE_INTEGER);
	session.port.answerAll();
	await timed;
	const always = new FakeSession(1, 'none');
	void new Database(always).put('k', 'v', { durability: 'interval' });
	assert.equal(always.last.wish, wishAlways, 'a database that never syncs has no interval to wait for');
});

test('a batch with anything wrong in it sends nothing, and says what it is', async () => {
	const session = new FakeSession();
	const db = new Database(session);
	const good = { type: 'put', key: 'k', value: 'v' } as const;
	const wrong: [unknown, RegExp][] = [
		[[good, 7], /^TypeError: operation 1 of the batch: an operation is an object/],
		[[good, null], /^TypeError: operation 1/],
		[[{ ...good, type: 'del' }], /^TypeError: operation 0 .* put, delete, increment or append, not del/],
		[[good, { ...good, value: 7 }], /^TypeError: operation 1 .* a value is a string/],
		[[good, { type: 'put', key: 'k' }], /^TypeError: operation 1/],
		[[{ ...good, ttlMs: -1 }], /^TypeError: operation 0 .* ttlMs is a positive whole number, not -1/],
		[[{ ...good, durability: 'none' }], /^TypeError: operation 0 .* has no option 'durability'/],
		[[{ type: 'delete', key: 'k', value: 'v' }], /^TypeError: operation 0 .* has no option 'value'/],
		[[{ type: 'increment', key: 'k', delta: 0.5 }], /^TypeError: operation 0 .* safe integer/],
		[[{ type: 'append', key: 'k', value: 'v', delta: 1 }], /^TypeError: operation 0/],
		[[good, { ...good, key: '' }], /MILLRACE_KEY_SIZE|operation 1 .* a key has from 1/],
		[new Array(batchCountMax + 1).fill(good), /operation 65536 .* at most 65536 operations/],
		[[good, { ...good, value: Buffer.alloc(valueSizeMax) }], /operation 1 .* at most 16777216 bytes/],
		['k', /^TypeError: batch takes an array/],
	];
	for (const [operations, pattern] of wrong) {
		await assert.rejects(db.batch(operations as []), pattern);
	}
	assert.equal(await db.batch([]), undefined);
	assert.equal(session.port.seen.flat().length, 0);
	const done = db.batch([good, { type: 'increment', key: 'k' }]);
	session.port.answerAll();
	assert.deepEqual(await done, { count: 2 }, 'and the next one has nothing of those before');
});

test('conditions of an operation count also when its key is not its own property', async () => {
	const session = new FakeSession(2);
	const db = new Database(session);
	class Operation {
		readonly type = 'put';
		readonly value = 'v';
		readonly ifAbsent = true;
		get key(): string {
			return 'k';
		}
	}
	const done = db.batch([new Operation()]);
	const plain = db.batch([{ type: 'put', key: 'k', value: 'v', ifAbsent: true }]);
	session.port.answerAll();
	await Promise.all([done, plain]);
	const [given, expected] = session.port.seen.flat();
	assert.equal(given.value, expected.value);
	class Misspelt extends Operation {
		readonly ifAbsnt = true;
	}
	await assert.rejects(db.batch([new Misspelt()]), TypeError);
});

test('synchronous reads: misuse throws, a sliding entry is touched, and nothing is read after close', async () => {
	const session = new FakeSession();
	const db = new Database(session);
	for (const key of [7, undefined, null, {}, '\ud800']) {
		assert.throws(() => db.getSync(key as never), TypeError);
		assert.throws(() => db.getEntrySync(key as never), TypeError);
		assert.throws(() => db.getManySync(['k', key as never]), TypeError);
	}
	assert.throws(() => db.getSync(''), { code: 'MILLRACE_KEY_SIZE' });
	assert.throws(() => db.getSync('k', { snap: 1 } as object), TypeError);
	assert.throws(() => db.getSync('k', { snapshot: {} as never }), TypeError);
	assert.throws(() => db.getManySync('k' as never), TypeError);
	const value = Buffer.from('v');
	session.found = { value, version: 3, expiresAtMs: 0 };
	assert.deepEqual(db.getEntrySync('k'), { value, version: 3, expiresAtMs: undefined });
	assert.equal(session.port.seen.flat().length, 0);
	session.wantsTouch = true;
	assert.equal(db.getSync('slides'), value);
	assert.deepEqual([session.last.opcode, session.last.key], [opHas, 'slides']);
	const closing = db.close();
	assert.throws(() => db.getSync('k'), { code: 'MILLRACE_CLOSED' });
	session.port.answerAll();
	await closing;
	for (const call of [() => db.getSync('k'), () => db.getManySync(['k']), () => db.getEntrySync('k')]) {
		assert.throws(call, { code: 'MILLRACE_CLOSED' });
	}
	assert.throws(() => db.attachment(), { code: 'MILLRACE_CLOSED' });
});

const nextTick = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

test('events reach those who listen for them, death ends all calls, and pressure is told when it changes much', async () => {
	const session = new FakeSession(1);
	const db = new Database(session);
	const heard: string[] = [];
	const onFull = ({ partition, isFull }: { partition: number; isFull: boolean }): unknown =>
		heard.push(`${partition} ${isFull}`);
	db.on('diskFull', onFull).once('note', ({ text }) => heard.push(text));
	session.onEvent({ type: 'diskFull', partition: 0, isFull: true });
	session.onEvent({ type: 'note', text: 'first' });
	session.onEvent({ type: 'note', text: 'second' });
	session.onEvent({ type: 'closing' });
	assert.deepEqual(heard, [], 'never in the middle of what is told of');
	await nextTick();
	db.off('diskFull', onFull);
	session.onEvent({ type: 'diskFull', partition: 0, isFull: false });
	assert.deepEqual(heard, ['0 true', 'first']);
	assert.throws(() => db.on('error' as 'note', () => undefined), TypeError);
	const pressures: PressureEvent[] = [];
	db.on('pressure', (event) => pressures.push(event));
	const puts = Array.from({ length: 50 }, (_, i) => db.put(`k${i}`, 'v'.repeat(50)));
	assert.equal(db.pressure.reason, 'window');
	assert.deepEqual(pressures, []);
	await nextTick();
	session.port.answerAll();
	await Promise.all(puts);
	await nextTick();
	assert.deepEqual(
		pressures.map(({ type, level }) => [type, level >= 0.5]),
		[
			['pressure', true],
			['pressure', false],
		],
	);
	const late = [db.get('k'), db.put('k', 'v'), db.count()];
	const error = new MillraceError('MILLRACE_WORKER_DIED', 'gone');
	session.death = error;
	session.onEvent({ type: 'died', error });
	for (const call of late) await assert.rejects(call, error);
	await assert.rejects(db.get('k'), error);
	await assert.rejects(db.batch([{ type: 'delete', key: 'k' }]), error);
	await db.close();
});
