/** Snapshots over all partitions: what a partition had when it first knew of an epoch, and that these make one cut. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { statusOf, statusOk } from '../../../src/base/errors.js';
import { epochCutAgeMaxMs, snapshotCountMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { BatchWriter } from '../../../src/command/batch.js';
import {
	flagArgument,
	flagSequence,
	opClear,
	opDecide,
	opGet,
	opPrepare,
	opPut,
	opReleaseSnapshot,
	opSnapshot,
	outcomeCommit,
} from '../../../src/command/command-format.js';
import { createDatabaseMemory, GateSlot } from '../../../src/command/database-memory.js';
import { testSeed } from '../../support/seed.js';
import { LoopRig, type RigRequest } from './loop-rig.js';

const claimOf = (epoch: number): RigRequest => ({ opcode: opSnapshot, flags: flagArgument, argument: epoch });

function makeRig(): { rig: LoopRig; begin: () => number } {
	const databaseMemory = createDatabaseMemory();
	const slot = new GateSlot(databaseMemory, 0);
	return { rig: new LoopRig({}, { databaseMemory }), begin: () => slot.beginEpoch() };
}

test('an epoch is the cut before the first write that follows it, or the claim, and is read at like any snapshot', () => {
	const { rig, begin } = makeRig();
	rig.ask({ opcode: opPut, key: 'k', value: 'before' });
	const first = begin();
	rig.ask({ opcode: opPut, key: 'k', value: 'after' });
	const second = begin();
	const claimed = rig.ask(claimOf(first));
	assert.deepEqual([claimed.status, claimed.number], [statusOk, 1]);
	assert.equal(rig.ask(claimOf(second)).number, 2, 'first heard of by its claim');
	const at = { opcode: opGet, key: 'k', flags: flagSequence };
	assert.equal(rig.ask({ ...at, sequence: 1 }).text, 'before');
	assert.equal(rig.ask({ ...at, sequence: 2 }).text, 'after');
	for (const argument of [1, 2]) {
		assert.equal(rig.ask({ opcode: opReleaseSnapshot, flags: flagArgument, argument }).status, statusOk);
	}
	assert.deepEqual(rig.host.partition.pins.sequences, []);
	assert.equal(rig.ask(claimOf(first)).status, statusOf('MILLRACE_SNAPSHOT'), 'once for each');
});

test('epochs between two looks have the same cut, each claimed once; what nobody claims is let go of in time', () => {
	const { rig, begin } = makeRig();
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	const epochs = [begin(), begin(), begin(), begin()];
	rig.ask({ opcode: opPut, key: 'k', value: 'w' });
	assert.deepEqual(
		[epochs[2], epochs[0]].map((epoch) => rig.ask(claimOf(epoch)).number),
		[1, 1],
	);
	assert.notEqual(rig.host.partition.pins.sequences.length, 0);
	rig.nowMs += epochCutAgeMaxMs + 1;
	rig.settle();
	assert.equal(rig.ask(claimOf(epochs[1])).status, statusOf('MILLRACE_SNAPSHOT'));
	const release = { opcode: opReleaseSnapshot, flags: flagArgument, argument: 1 };
	assert.deepEqual([rig.ask(release).status, rig.ask(release).status], [statusOk, statusOk]);
	assert.deepEqual(rig.host.partition.pins.sequences, [], 'nothing is kept for the others');
	begin();
	rig.ask({ opcode: opPut, key: 'k', value: 'x' });
	assert.equal(rig.host.partition.pins.sequences.length, 1);
	rig.nowMs += epochCutAgeMaxMs + 1;
	rig.settle();
	assert.deepEqual(rig.host.partition.pins.sequences, [], 'also when the partition is idle');
});

test('when too many snapshots are held, the write goes on and the claim is told; a clear takes cuts with it', () => {
	const { rig, begin } = makeRig();
	const { pins } = rig.host.partition;
	rig.ask({ opcode: opPut, key: 'k', value: 'v' });
	for (let i = 0; i < snapshotCountMax; i++) pins.acquire(1, rig.nowMs);
	const epoch = begin();
	assert.equal(rig.ask({ opcode: opPut, key: 'k', value: 'w' }).status, statusOk);
	assert.equal(rig.ask(claimOf(epoch)).status, statusOf('MILLRACE_BUSY'));
	pins.releaseAll();
	const cleared = begin();
	assert.equal(rig.ask({ opcode: opPut, key: 'k', value: 'x' }).status, statusOk);
	assert.equal(rig.ask({ opcode: opClear }).status, statusOk);
	assert.equal(rig.ask(claimOf(cleared)).status, statusOf('MILLRACE_SNAPSHOT'));
	assert.deepEqual(pins.sequences, []);
});

test("a cut with a batch that a failed log left undecided is nobody's: half of the batch may be stored elsewhere", () => {
	const databaseMemory = createDatabaseMemory();
	const slot = new GateSlot(databaseMemory, 0);
	const [coordinator, other] = [0, 1].map(() => new LoopRig({}, { databaseMemory }));
	const id = '0123456789abcdef';
	const writer = new BatchWriter();
	writer.add(opPut, 0, 0, Buffer.from('k'), Buffer.from('new'));
	for (const [number, rig] of [coordinator, other].entries()) {
		const header = Buffer.from([0, 0, number === 0 ? 1 : 0, 0]);
		const prepare = Buffer.concat([Buffer.from(id), header, writer.value]);
		assert.equal(rig.ask({ opcode: opPrepare, value: prepare }).status, statusOk);
	}
	other.failLog();
	const decision = { opcode: opDecide, value: Buffer.concat([Buffer.from(id), Buffer.from([outcomeCommit, 0, 0, 0])]) };
	assert.equal(coordinator.ask(decision).status, statusOk);
	assert.equal(other.ask(decision).status, statusOf('MILLRACE_POISONED'));
	const epoch = slot.beginEpoch();
	assert.equal(coordinator.ask(claimOf(epoch)).status, statusOk);
	assert.equal(other.ask(claimOf(epoch)).status, statusOf('MILLRACE_POISONED'));
	assert.deepEqual(other.host.partition.pins.sequences, []);
});

interface Write {
	readonly partition: number;
	readonly began: number;
	answered: number;
	version: number;
}

interface Snapshot {
	readonly epoch: number;
	readonly began: number;
	readonly cuts: (number | undefined)[];
	readonly asked: boolean[];
	answered: number;
}

/** Partitions of one database, at which threads write and take snapshots in any order of steps. */
class Database {
	readonly writes = new Map<string, Write>();
	readonly snapshots: Snapshot[] = [];
	readonly rigs: LoopRig[];
	readonly #prng: Prng;
	readonly #slot: GateSlot;
	/** Writes that are not answered. */
	openCount = 0;
	#step = 0;

	constructor(prng: Prng, partitionCount: number) {
		this.#prng = prng;
		const databaseMemory = createDatabaseMemory();
		new Int32Array(databaseMemory)[0] = 0x7fff_ffff - prng.below(20);
		this.#slot = new GateSlot(databaseMemory, 0);
		this.rigs = Array.from({ length: partitionCount }, () => new LoopRig({}, { databaseMemory, ringSize: 1 << 16 }));
		for (const rig of this.rigs) for (const channel of [1, 2]) rig.attach(channel, 1 << 16);
	}

	step(): void {
		this.#step++;
		const partition = this.#prng.below(this.rigs.length);
		const choice = this.#prng.below(16);
		const channel = this.#prng.below(3);
		if (choice < 5) this.#write(partition, channel);
		else if (choice < 9) this.rigs[partition].turn();
		else if (choice < 11) this.rigs[partition].runLog();
		else if (choice < 13) this.#take(partition);
		else if (choice < 15) this.#claim(partition, channel);
		else if (this.snapshots.length < 12) {
			const { length } = this.rigs;
			const cuts = new Array<number | undefined>(length).fill(undefined);
			const asked = new Array<boolean>(length).fill(false);
			const epoch = this.#slot.beginEpoch();
			this.snapshots.push({ epoch, began: this.#step, cuts, asked, answered: Number.POSITIVE_INFINITY });
		}
	}

	finish(): void {
		for (let round = 0; round < 20; round++) {
			for (let partition = 0; partition < this.rigs.length; partition++) {
				this.#step++;
				for (let i = 0; i < this.snapshots.length; i++) this.#claim(partition, 0);
				this.rigs[partition].settle();
				this.#take(partition);
			}
		}
	}

	#write(partition: number, channel: number): void {
		const name = `write ${this.#step}`;
		this.writes.set(name, { partition, began: this.#step, answered: Number.POSITIVE_INFINITY, version: 0 });
		this.openCount++;
		this.rigs[partition].send(name, { opcode: opPut, key: `k${this.#prng.below(9)}`, value: name, channel });
	}

	#claim(partition: number, channel: number): void {
		const index = this.snapshots.findIndex(({ asked }) => !asked[partition]);
		if (index < 0) return;
		const snapshot = this.snapshots[index];
		snapshot.asked[partition] = true;
		this.rigs[partition].send(`claim ${index}`, { ...claimOf(snapshot.epoch), channel });
	}

	#take(partition: number): void {
		for (const { name, status, number } of this.rigs[partition].takeReplies()) {
			assert.equal(status, statusOk, name);
			const write = this.writes.get(name);
			if (write !== undefined) {
				write.answered = this.#step;
				write.version = number;
				this.openCount--;
				continue;
			}
			const snapshot = this.snapshots[Number(name.split(' ')[1])];
			snapshot.cuts[partition] = number;
			if (!snapshot.cuts.includes(undefined)) snapshot.answered = this.#step;
		}
	}
}

test('random writes and snapshots: every cut holds what was answered before anything that is in it', () => {
	const prng = new Prng(testSeed('epoch-cuts'));
	for (let run = 0; run < 30; run++) {
		const database = new Database(prng, 2 + prng.below(2));
		for (let i = 0; i < 400; i++) database.step();
		database.finish();
		assert.equal(database.openCount, 0);
		const writes = [...database.writes.values()];
		for (const { cuts, began, answered, epoch } of database.snapshots) {
			const isIn = ({ partition, version }: Write): boolean => version <= (cuts[partition] as number);
			const lastBegan = Math.max(0, ...writes.filter(isIn).map((write) => write.began));
			for (const write of writes) {
				const what = `run ${run}, epoch ${epoch}, partition ${write.partition}, version ${write.version}`;
				if (write.answered < began) assert.ok(isIn(write), `${what}: answered before the snapshot was asked for`);
				if (write.began > answered) assert.ok(!isIn(write), `${what}: began after the snapshot was there`);
				if (write.answered < lastBegan) assert.ok(isIn(write), `${what}: answered before another that is in began`);
			}
		}
		for (const rig of database.rigs) {
			for (const sequence of new Set(rig.host.partition.pins.sequences)) {
				assert.equal(rig.ask({ opcode: opGet, key: 'none', flags: flagSequence, sequence }).status, 1);
			}
			assert.equal(rig.host.partition.pins.count, database.snapshots.length);
		}
	}
});
