/**
 * A partition against a map: random commands of every kind with flushes, merges, recycling and reopening mixed in, the log
 * and the jobs carried out at random moments. The map knows nothing of any of that, and must agree after every command.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { isRead, opClear, opPut } from '../../../src/command/command-format.js';
import type { Durability } from '../../../src/command/worker-boot.js';
import { runJob } from '../../../src/storage/lsm/jobs.js';
import { randomCommand, randomKey } from '../../support/partition-commands.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { PartitionModel, type TestCommand } from '../../support/partition-model.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

interface Totals {
	commands: number;
	flushes: number;
	merges: number;
	replayed: number;
	reopened: number;
}

class Comparison {
	readonly model = new PartitionModel();
	readonly disk = new SimulatedDisk();
	readonly totals: Totals = { commands: 0, flushes: 0, merges: 0, replayed: 0, reopened: 0 };
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
		if (style < 700) this.#command();
		else if (style < 800) this.#harness.endDrain();
		else if (style < 860) this.#harness.runLog(1 + prng.below(4));
		else if (style < 890) this.#harness.runJob(prng);
		else if (style < 900) this.#harness.takeNews();
		else if (style < 970) this.#moveClock();
		else if (style < 976) this.#compareAll();
		else if (style < 982) this.#comparePage();
		else if (style < 986) this.#harness.settle();
		else if (style < 996) this.#harness.flush();
		else if (style < 998) this.#reopen(prng.chance(0.5));
	}

	#command(): void {
		const command = randomCommand(this.#prng, this.#clockMs, {
			keyCount: this.#keyCount,
			valueSizeMax: 400,
			readPercent: 30,
			clearPerMille: 1,
		});
		this.do(command);
	}

	do(command: TestCommand): void {
		const { sequence, hasLeft, ...answer } = this.#harness.execute(command);
		const expected = this.model.apply(command, this.#harness.drainMs);
		assert.deepEqual(answer, expected, `answer to ${JSON.stringify(command)}`);
		assert.equal(this.#harness.partition.lastSequence, this.model.sequence);
		if (hasLeft && command.key !== undefined && isRead(command.opcode)) {
			const needed = this.model.dependsOn(command.key);
			const reached = this.#harness.reachedSequence;
			assert(needed <= reached, `a read left that depends on ${needed}, durable is ${reached} (it said ${sequence})`);
		}
		this.totals.commands++;
	}

	#moveClock(): void {
		const style = this.#prng.below(10);
		if (style === 0) this.#clockMs -= 1 + this.#prng.below(5000);
		else this.#clockMs += this.#prng.below(style === 1 ? 10_000 : 300);
		this.#harness.nowMs = this.#clockMs;
	}

	#compareAll(): void {
		const found = this.#harness.scan();
		assert.deepEqual(found, this.model.live(this.#harness.drainMs));
	}

	#comparePage(): void {
		const after = randomKey(this.#prng, this.#keyCount);
		const found = this.#harness.scan(after);
		assert.deepEqual(
			found,
			this.model.live(this.#harness.drainMs).filter(([key]) => key > after),
		);
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
		this.totals.merges += maintenance.mergeCount;
		this.totals.reopened++;
		// Time may step back while a partition is open, where it notices. Across a reopen nobody remembers the time of what is
		// flushed: then a key that had expired is live again, unless a merge has dropped it.
		this.#clockMs = Math.max(this.#clockMs, harness.drainMs);
		this.#harness = this.#open();
		this.totals.replayed += this.#harness.partition.recovery.replayedCount;
		assert.equal(this.#harness.partition.lastSequence, this.model.sequence);
		assert.deepEqual(this.#harness.partition.recovery.notes, []);
		this.#compareAll();
	}
}

for (const durability of ['always', 'interval', 'none'] as const) {
	test(`a partition is a sorted map, whatever happens beside it (${durability})`, () => {
		const seed = testSeed(`partition ${durability}`);
		for (let round = 0; round < 3; round++) {
			const comparison = new Comparison(new Prng(seed + round), durability);
			comparison.run(5000);
			const { totals } = comparison;
			assert(totals.flushes > 10 && totals.merges > 1 && totals.reopened > 2, JSON.stringify(totals));
		}
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
