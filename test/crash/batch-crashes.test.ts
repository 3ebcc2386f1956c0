/**
 * Batches over several partitions, crashed at every step: every position of the disk's journal is a moment at which the power may
 * have failed, with every legal disk (or a sample of them) after it. What must hold after recovery and settling:
 *
 *   each partition is where the live one was at some sequence; what was in doubt is then carried out as a whole or not at all
 *   each batch put a mark into all of its partitions: all are there or none; all if it was acknowledged, none if refused
 *   nothing is locked, nothing is kept; a second crash while settling changes nothing of it
 *
 * MILLRACE_CRASH_STATES: crash states for each position (6 by default).
 */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { hasCode, MillraceError } from '../../src/base/errors.js';
import { Prng } from '../../src/base/prng.js';
import { BatchWriter } from '../../src/command/batch.js';
import {
	flagReturnOld,
	opAppend,
	opBatch,
	opDeleteRange,
	opIncrement,
	opPut,
} from '../../src/command/command-format.js';
import type { Durability } from '../../src/command/worker-boot.js';
import { BatchCommitter, type BatchPart } from '../../src/engine/batch-commit.js';
import { BatchWorld, type WorldOptions } from '../support/batch-world.js';
import { randomCommand } from '../support/partition-commands.js';
import type { PartitionHarness } from '../support/partition-harness.js';
import type { ModelState } from '../support/partition-model.js';
import { testSeed } from '../support/seed.js';
import { SimulatedDisk } from '../support/simulated-disk.js';
import type { TestCommand } from '../support/test-command.js';

const perPosition = Number(process.env.MILLRACE_CRASH_STATES ?? 6);
const gate = { slot: 0, enterBatch: () => Promise.resolve(), leaveBatch: () => undefined };

interface SentBatch {
	readonly mark: string;
	readonly partitions: readonly number[];
	/** Undefined: nobody heard yet, or nobody can know. */
	outcome: boolean | undefined;
	/** Of the disk's journal, when the outcome was heard. */
	position: number;
}

/** Timers of the code under test are moved on by hand. */
function withTimers<T>(work: (passTime: () => void) => Promise<T>): Promise<T> {
	mock.timers.enable({ apis: ['setTimeout'] });
	return work(() => mock.timers.tick(7)).finally(() => mock.timers.reset());
}

class Scenario {
	readonly world: BatchWorld;
	readonly options: WorldOptions;
	readonly batches: SentBatch[] = [];
	readonly passTime: () => void;
	readonly #committers: BatchCommitter[];

	constructor(options: WorldOptions, passTime: () => void) {
		this.options = options;
		this.passTime = passTime;
		this.world = new BatchWorld(new SimulatedDisk({ directories: ['/data'] }), options, passTime);
		this.#committers = [0, 1].map((slot) => new BatchCommitter(this.world, { ...gate, slot }));
	}

	/** @param commands by partition; each gets a mark beside them */
	async batch(driver: number, commands: ReadonlyMap<number, readonly TestCommand[]>): Promise<boolean | undefined> {
		const mark = `m${this.batches.length}`;
		const partitions = [...commands.keys()];
		const sent: SentBatch = { mark, partitions, outcome: undefined, position: Number.POSITIVE_INFINITY };
		this.batches.push(sent);
		const parts = partitions.map((partition): BatchPart => {
			const all = [{ opcode: opPut, key: mark, value: mark }, ...(commands.get(partition) ?? [])];
			return { partition, value: batchValue(all) };
		});
		try {
			sent.outcome = await this.#committers[driver].commit(parts, 0);
		} catch (error) {
			// What the commands of a batch make wrong, and other batches in the way: nothing was written.
			const isRefused = ['ARGUMENT', 'NOT_INTEGER', 'OVERFLOW', 'BUSY', 'VALUE_SIZE'].some((code) =>
				hasCode(error, `MILLRACE_${code}` as 'MILLRACE_BUSY'),
			);
			assert(isRefused, String(error));
			sent.outcome = false;
		}
		sent.position = this.world.disk.position;
		return sent.outcome;
	}

	/** All directories are there and durable: how they come to be is for other tests. */
	async begin(): Promise<void> {
		for (const { harness } of this.world.partitions) harness.settle();
		await this.world.pass(10);
		this.world.disk.settle();
	}

	/** The live world, at its end. */
	checkLive(): void {
		const scans = this.world.scans();
		for (const [number, partition] of this.world.partitions.entries()) {
			assert.deepEqual(scans[number], partition.live(), `partition ${number} is as the model says`);
		}
		checkMarks(this.batches, scans, Number.POSITIVE_INFINITY);
	}
}

function batchValue(commands: readonly TestCommand[]): Uint8Array {
	const writer = new BatchWriter();
	for (const { opcode, flags = 0, argument = 0, key = '', value = '', sequence = 0 } of commands) {
		writer.add(opcode, flags, argument, Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'), sequence);
	}
	return new Uint8Array(writer.value);
}

type Scans = ReturnType<BatchWorld['scans']>;

function checkMarks(batches: readonly SentBatch[], scans: Scans, position: number): void {
	const keys = scans.map((scan) => new Set(scan.map(([key]) => key)));
	for (const { mark, partitions, outcome, position: heardAt } of batches) {
		const count = partitions.filter((partition) => keys[partition].has(mark)).length;
		assert(
			count === 0 || count === partitions.length,
			`batch ${mark}: ${count} of ${partitions.length} parts are there`,
		);
		if (heardAt > position || outcome === undefined) continue;
		assert.equal(count > 0, outcome, `batch ${mark} was ${outcome ? 'acknowledged' : 'refused'}`);
	}
}

/** The state that a recovered partition must be in, by what the live one had at its sequence. */
function recoveredState(live: BatchWorld, number: number, { partition }: PartitionHarness): ModelState {
	const { lastSequence, recovery } = partition;
	const state = live.partitions[number].states[lastSequence - recovery.carriedCount];
	assert(state !== undefined, `nothing ever ended at sequence ${lastSequence}`);
	return { ...state, sequence: lastSequence };
}

const withoutVersions = (scans: Scans): unknown =>
	scans.map((scan) => scan.map(([key, { value, expiresAtMs }]) => [key, value, expiresAtMs]));

/** Crashes a scenario everywhere. @returns how many crash states were tried, and batches that were found in doubt */
async function checkCrashes(
	scenario: Scenario,
	limit: number,
	positionStep = 1,
): Promise<{ count: number; inDoubt: number; committed: number }> {
	const { world, options } = scenario;
	const { prng } = options;
	const { disk } = world;
	const found = { count: 0, inDoubt: 0, committed: 0 };
	for (let position = prng.below(positionStep); position <= disk.position; position += positionStep) {
		for (const crashed of disk.enumerateCrashes(position, { limit, prng })) {
			try {
				await checkCrashed(scenario, crashed, position, found);
			} catch (error) {
				const what = error instanceof Error ? error.message.slice(0, 900) : String(error);
				throw new Error(`at ${position} of ${disk.position}: ${crashed.origin()}\n${what}`, { cause: error });
			}
			found.count++;
		}
	}
	return found;
}

async function checkCrashed(
	{ world: live, options, batches, passTime }: Scenario,
	crashed: SimulatedDisk,
	position: number,
	found: { inDoubt: number; committed: number },
): Promise<void> {
	const nowMs = Math.max(...live.partitions.map(({ harness }) => harness.nowMs));
	const { prng } = options;
	const stateOf = (number: number, harness: PartitionHarness): ModelState => recoveredState(live, number, harness);
	const world = new BatchWorld(crashed, { ...options, nowMs }, passTime, stateOf);
	for (const [number, partition] of world.partitions.entries()) {
		assert.deepEqual(partition.harness.scan(), partition.live(), `partition ${number} as recovered`);
	}
	const before = world.partitions.map(({ harness }) => harness.partition.lastSequence);
	const { reports } = world;
	found.inDoubt += reports.reduce((sum, { inDoubt }) => sum + inDoubt.length, 0);
	found.committed += reports.filter(({ inDoubt }) =>
		inDoubt.some(({ id, coordinator }) => reports[coordinator].decided.includes(id)),
	).length;
	await world.settle();
	const scans = world.scans();
	for (const [number, partition] of world.partitions.entries()) {
		assert.deepEqual(scans[number], partition.live(), `partition ${number} as settled`);
		const { transactions } = partition.harness.partition;
		assert.deepEqual([transactions.count, transactions.decidedCount, transactions.size], [0, 0, 0]);
	}
	checkMarks(batches, scans, position);
	world.abandon();
	// Cut off while it settled, and again: it comes to the same.
	let again = crashed;
	for (let round = 0; round < 2; round++) {
		again = again.crashAt(prng.below(again.position + 1), prng);
		const second = new BatchWorld(again, { ...options, nowMs }, passTime, 'unknown');
		await second.settle();
		assert.deepEqual(
			withoutVersions(second.scans()),
			withoutVersions(scans),
			`cut off while settling: ${again.origin()}`,
		);
		for (const [number, { harness }] of second.partitions.entries()) {
			assert(harness.partition.lastSequence >= before[number] || round > 0, 'what was recovered stays');
			assert.equal(harness.partition.transactions.count, 0);
		}
		second.abandon();
	}
}

/** Commands that a batch may hold, of the keys that others write as well. */
function randomCommands(scenario: Scenario, partition: number, count: number): TestCommand[] {
	const { prng } = scenario.options;
	const { model, harness } = scenario.world.partitions[partition];
	const mix = { keyCount: 8, valueSizeMax: 200, readPercent: 0, clearPerMille: 0 };
	const commands: TestCommand[] = [];
	while (commands.length < count) {
		const versionOf = (key: string): number => model.versionOf(key);
		const command = randomCommand(prng, harness.nowMs, { ...mix, versionOf });
		if (command.opcode === opBatch || command.opcode === opDeleteRange) continue;
		commands.push({ ...command, flags: (command.flags ?? 0) & ~flagReturnOld });
	}
	return commands;
}

/** Some of the partitions, at least two. */
function somePartitions(prng: Prng, count: number): number[] {
	const all = Array.from({ length: count }, (_, i) => i);
	while (all.length > 2 && prng.chance(0.4)) all.splice(prng.below(all.length), 1);
	return prng.chance(0.5) ? all : all.reverse();
}

async function drive(scenario: Scenario, driver: number, count: number): Promise<void> {
	const { prng, partitionCount } = scenario.options;
	for (let i = 0; i < count; i++) {
		const partitions = somePartitions(prng, partitionCount);
		await scenario.batch(
			driver,
			new Map(partitions.map((partition) => [partition, randomCommands(scenario, partition, prng.below(3))])),
		);
	}
}

async function writePlainly(scenario: Scenario, partition: number, count: number): Promise<void> {
	const { prng } = scenario.options;
	const { world } = scenario;
	for (let i = 0; i < count; i++) {
		const [command] = randomCommands(scenario, partition, 1);
		const range = { opcode: opDeleteRange, key: `key${prng.below(4)}`, value: 'key5' };
		// What is wrong with a command, the model knows as well.
		await world.write(partition, prng.chance(0.1) ? range : command).catch((error: unknown) => {
			assert(error instanceof MillraceError, String(error));
		});
		world.partitions[partition].harness.nowMs += prng.below(100);
	}
}

function optionsOf(seed: number, durability: Durability = 'always', memtableSize = 16 * 1024): WorldOptions {
	return { prng: new Prng(seed), partitionCount: 3, durability, partition: { memtableSize, manifestEditCountMax: 5 } };
}

test('one batch after the other, crashed at every step and in every way', async () => {
	const seed = testSeed('batch-steps');
	await withTimers(async (passTime) => {
		const scenario = new Scenario(optionsOf(seed), passTime);
		const { world } = scenario;
		await scenario.begin();
		await world.run(world.write(1, { opcode: opPut, key: 'count', value: '1' }));
		const on = (key: string): TestCommand[] => [{ opcode: opIncrement, key, value: '1' }];
		for (let i = 0; i < 3; i++) {
			const parts = new Map([0, 1, 2].map((partition) => [partition, on('count')]));
			assert.equal(await world.run(scenario.batch(0, parts)), true);
			await world.run(world.write(i, { opcode: opAppend, key: 'count', value: '0' }));
		}
		scenario.checkLive();
		const found = await checkCrashes(scenario, 4 * perPosition);
		console.log(
			`batch-steps: ${found.count} crash states, ${found.inDoubt} parts in doubt, ${found.committed} to be committed`,
		);
		assert(found.inDoubt > 50 && found.committed > 10, JSON.stringify(found));
	});
});

for (const durability of ['always', 'interval', 'none'] as const) {
	test(`two drivers and plain writes over the same keys, durability '${durability}': no deadlock, no half, no loss`, async () => {
		const seed = testSeed(`batch-${durability}`);
		await withTimers(async (passTime) => {
			const scenario = new Scenario(optionsOf(seed, durability), passTime);
			await scenario.begin();
			const work = [
				drive(scenario, 0, 12),
				drive(scenario, 1, 12),
				...[0, 1, 2].map((p) => writePlainly(scenario, p, 30)),
			];
			await scenario.world.run(Promise.all(work));
			scenario.checkLive();
			const outcomes = scenario.batches.map(({ outcome }) => outcome);
			assert(outcomes.includes(true), 'some batches were carried out');
			const found = await checkCrashes(scenario, Math.ceil(perPosition / 3), 2);
			const committed = outcomes.filter((outcome) => outcome === true).length;
			console.log(`batch-${durability}: ${committed} of ${outcomes.length} batches; ${JSON.stringify(found)}`);
			assert(found.inDoubt > 20 && found.committed > 0, JSON.stringify(found));
		});
	});
}
