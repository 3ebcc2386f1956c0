/**
 * A partition against a map: random commands of every kind with flushes, merges, recycling and reopening mixed in, the log
 * and the jobs carried out at random moments. The map knows nothing of any of that, and must agree after every command.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import {
	isRead,
	opAppend,
	opBatch,
	opClear,
	opDelete,
	opDeleteRange,
	opIncrement,
	opPut,
	opSetExpiry,
} from '../../../src/command/command-format.js';
import type { Durability } from '../../../src/command/worker-boot.js';
import { runJob } from '../../../src/storage/lsm/upkeep/jobs.js';
import { randomCommand, randomKey } from '../../support/partition-commands.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { liveEntries, PartitionModel } from '../../support/partition-model.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';
import type { TestCommand } from '../../support/test-command.js';

interface Totals {
	commands: number;
	flushes: number;
	compactions: number;
	replayed: number;
	reopened: number;
	/** Expiries moved on by reads, and those that had no room for it. */
	touches: number;
	untouched: number;
	snapshotReads: number;
	/** By opcode: answers that said ok. */
	done: Record<number, number>;
}

class Comparison {
	readonly model = new PartitionModel();
	readonly disk = new SimulatedDisk();
	readonly totals: Totals = {
		commands: 0,
		flushes: 0,
		compactions: 0,
		replayed: 0,
		reopened: 0,
		touches: 0,
		untouched: 0,
		snapshotReads: 0,
		done: {},
	};
	readonly #prng: Prng;
	readonly #durability: Durability;
	readonly #keyCount: number;
	#clockMs = 1_000_000;
	#harness: PartitionHarness;

	constructor(prng: Prng, durability: Durability) {
		this.#prng = prng;
		this.#durability = durability;
		this.#keyCount = [8, 60, 400][prng.below(3)];
		this.#harness = this.#open();
	}

	run(stepCount: number): void {
		for (let i = 0; i < stepCount; i++) this.#step();
		this.#reopen(true);
		this.#harness.settle();
		this.#compareAll();
	}

	#open(): PartitionHarness {
		return new PartitionHarness(this.disk, {
			durability: this.#durability,
			queueCountMax: 1 + this.#prng.below(6),
			nowMs: this.#clockMs,
		});
	}

	#step(): void {
		const prng = this.#prng;
		const style = prng.below(1000);
		if (style < 690) this.#command();
		else if (style < 790) this.#harness.endDrain();
		else if (style < 850) this.#harness.runLog(1 + prng.below(4));
		else if (style < 880) this.#harness.runJob(prng);
		else if (style < 890) this.#harness.takeNews();
		else if (style < 960) this.#moveClock();
		else if (style < 966) this.#compareAll();
		else if (style < 974) this.#comparePage();
		else if (style < 978) this.#harness.settle();
		else if (style < 986) this.#harness.flush();
		else if (style < 987) this.#harness.compact(randomKey(prng, this.#keyCount), randomKey(prng, this.#keyCount));
		else if (style < 996) this.#changeSnapshots();
		else if (style < 998) this.#reopen(prng.chance(0.5));
	}

	#command(): void {
		const command = randomCommand(this.#prng, this.#clockMs, {
			keyCount: this.#keyCount,
			valueSizeMax: 400,
			readPercent: 30,
			clearPerMille: 1,
			versionOf: (key) => this.model.versionOf(key),
			snapshots: [...this.model.snapshots.keys()],
		});
		this.do(command);
	}

	do(command: TestCommand): void {
		const { sequence, hasLeft, ...answer } = this.#harness.execute(command);
		const { drainMs } = this.#harness;
		const wantedMs = isRead(command.opcode) ? this.model.wantedExpiry(command, drainMs) : 0;
		const expected = this.model.apply(command, drainMs);
		assert.deepEqual(answer, expected, `answer to ${JSON.stringify(command)}`);
		const needed = this.model.dependsOn(command.key ?? '');
		this.#noteTouch(command, wantedMs);
		assert.equal(this.#harness.partition.lastSequence, this.model.sequence);
		const isAtSnapshot = isRead(command.opcode) && command.sequence !== undefined;
		if (hasLeft && command.key !== undefined && isRead(command.opcode) && !isAtSnapshot) {
			const reached = this.#harness.reachedSequence;
			assert(needed <= reached, `a read left that depends on ${needed}, durable is ${reached} (it said ${sequence})`);
		}
		this.totals.commands++;
		if (isAtSnapshot) this.totals.snapshotReads++;
		if (answer.status === 0) this.totals.done[command.opcode] = (this.totals.done[command.opcode] ?? 0) + 1;
	}

	/** A read may move an expiry on, but only one that wants it. */
	#noteTouch(command: TestCommand, wantedMs: number): void {
		const isTouched = this.#harness.partition.lastSequence === this.model.sequence + 1;
		if (isTouched && isRead(command.opcode)) {
			this.model.touch(command.key ?? '', wantedMs);
			this.totals.touches++;
		} else if (wantedMs !== 0) {
			this.totals.untouched++;
		}
	}

	#moveClock(): void {
		const style = this.#prng.below(10);
		if (style === 0) this.#clockMs -= 1 + this.#prng.below(5000);
		else this.#clockMs += this.#prng.below(style === 1 ? 10_000 : 300);
		this.#harness.nowMs = this.#clockMs;
	}

	#changeSnapshots(): void {
		const held = [...this.model.snapshots.keys()];
		if (held.length < 4 && this.#prng.chance(0.5)) {
			const sequence = this.#harness.acquireSnapshot();
			if (held.includes(sequence)) assert(this.#harness.partition.releaseSnapshot(sequence));
			assert.equal(this.model.pin(), sequence);
		} else if (held.length > 0) {
			const sequence = held[this.#prng.below(held.length)];
			assert(this.#harness.partition.releaseSnapshot(sequence));
			assert(!this.#harness.partition.releaseSnapshot(sequence), 'once for each acquire');
			this.model.snapshots.delete(sequence);
		}
	}

	#compareAll(): void {
		assert.deepEqual(this.#harness.scan(), this.model.live(this.#harness.drainMs));
		for (const [sequence, state] of this.model.snapshots) {
			const found = this.#harness.scan('', sequence);
			assert.deepEqual(found, liveEntries(state, this.#harness.drainMs), `the snapshot at ${sequence}`);
		}
	}

	#comparePage(): void {
		const after = randomKey(this.#prng, this.#keyCount);
		const isReverse = this.#prng.chance(0.5);
		const found = this.#harness.scan(after, undefined, isReverse);
		const live = this.model.live(this.#harness.drainMs);
		const expected = isReverse ? live.filter(([key]) => key < after).reverse() : live.filter(([key]) => key > after);
		assert.deepEqual(found, expected, `${isReverse ? 'before' : 'after'} ${after}`);
	}

	#reopen(isClean: boolean): void {
		const harness = this.#harness;
		const { maintenance } = harness.partition;
		if (isClean) {
			harness.close();
		} else {
			harness.endDrain();
			harness.queue.publish();
			harness.runLog();
			// A job may have done its work, and nobody ever heard of it.
			for (const job of harness.jobs) if (this.#prng.chance(0.5)) runJob(this.disk, '/data', job);
			harness.abandon();
		}
		assert.equal(harness.logError, undefined);
		this.totals.flushes += maintenance.flushCount;
		this.totals.compactions += maintenance.compactionCount;
		this.totals.reopened++;
		// Time may step back while a partition is open, where it notices. Across a reopen nobody remembers the time of what is
		// flushed: then a key that had expired is live again, unless a compaction has dropped it.
		this.#clockMs = Math.max(this.#clockMs, harness.drainMs);
		this.model.snapshots.clear();
		this.#harness = this.#open();
		this.totals.replayed += this.#harness.partition.recovery.replayedCount;
		assert.equal(this.#harness.partition.lastSequence, this.model.sequence);
		assert.deepEqual(this.#harness.partition.recovery.notes, []);
		this.#compareAll();
	}
}

/** Every write that can be, done at least a few times. */
const writes = [opPut, opDelete, opIncrement, opSetExpiry, opAppend, opDeleteRange, opBatch];

for (const durability of ['always', 'interval', 'none'] as const) {
	test(`a partition is a sorted map, whatever happens beside it (${durability})`, () => {
		const seed = testSeed(`partition ${durability}`);
		let touchCount = 0;
		for (let round = 0; round < 3; round++) {
			const comparison = new Comparison(new Prng(seed + round), durability);
			comparison.run(5000);
			const { totals } = comparison;
			assert(totals.flushes > 10 && totals.compactions > 1 && totals.reopened > 2, JSON.stringify(totals));
			assert(totals.snapshotReads > 20, JSON.stringify(totals));
			touchCount += totals.touches;
			for (const opcode of writes) assert(totals.done[opcode] > 5, `opcode ${opcode}: ${JSON.stringify(totals)}`);
		}
		assert(touchCount > 0, `${touchCount} expiries were moved on`);
	});
}

test('a value that no memtable holds is refused, and nothing else', () => {
	const harness = new PartitionHarness(new SimulatedDisk());
	const large = harness.execute({ opcode: opPut, key: 'a', value: 'x'.repeat(16 * 1024) });
	assert.equal(large.status, 5);
	assert.equal(harness.execute({ opcode: opPut, key: 'a', value: 'x'.repeat(14 * 1024) }).status, 0);
	assert.equal(harness.execute({ opcode: opClear }).status, 0);
	harness.close();
});
