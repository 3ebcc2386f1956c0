/**
 * Crash states of a partition: a scenario runs on a simulated disk beside a model and notes which replies had left at which
 * journal position; afterwards every position is a moment at which the power may have failed.
 *
 *   scenario ─> journal ─> each position ─> some legal disks ─> recover ─> is it the state after a prefix of the commands,
 *                                                                          with all that was acknowledged by then?
 *
 * A recovered partition is recovered again, crashed in the middle of its recovery, written to and reopened. Violations
 * are thrown, with the crash state that shows them.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../src/base/prng.js';
import { isRead, opPut } from '../../src/command/command-format.js';
import type { Durability } from '../../src/command/worker-boot.js';
import type { FileSystem } from '../../src/env/ports.js';
import type { PartitionOptions } from '../../src/storage/lsm/partition-options.js';
import { PartitionHarness } from './partition-harness.js';
import { liveEntries, type ModelEntry, type ModelState, PartitionModel } from './partition-model.js';
import { SimulatedDisk } from './simulated-disk.js';
import type { TestCommand } from './test-command.js';

type State = [string, ModelEntry][];

export interface ScenarioOptions {
	readonly durability?: Durability;
	/** What the partition sees in place of the disk: a file system that lies. */
	readonly wrap?: (disk: SimulatedDisk) => FileSystem;
	readonly partition?: Partial<PartitionOptions>;
}

/** One run to be crashed later. */
export class CrashScenario {
	readonly disk = new SimulatedDisk();
	readonly durability: Durability;
	readonly partitionOptions: Partial<PartitionOptions>;
	nowMs = 1_000_000;
	harness: PartitionHarness;
	readonly #fileSystem: FileSystem;
	readonly #model = new PartitionModel();
	/** By sequence number: what is stored after it. None inside of a batch: nothing may ever end there. */
	readonly #states: (ModelState | undefined)[];
	/** Ascending: at this journal position, everything up to this sequence had been acknowledged. */
	readonly #acknowledged: { position: number; sequence: number }[] = [];

	constructor(options: ScenarioOptions = {}) {
		this.#states = [this.#model.copy()];
		this.durability = options.durability ?? 'always';
		this.partitionOptions = options.partition ?? {};
		this.#fileSystem = options.wrap?.(this.disk) ?? this.disk;
		this.harness = this.#open();
	}

	get sequence(): number {
		return this.#model.sequence;
	}

	/** What random commands are told of the present state. */
	get mix(): { versionOf: (key: string) => number; snapshots: readonly number[] } {
		return { versionOf: (key) => this.#model.versionOf(key), snapshots: [...this.#model.snapshots.keys()] };
	}

	execute(command: TestCommand): void {
		this.harness.execute(command);
		const { drainMs } = this.harness;
		const wantedMs = isRead(command.opcode) ? this.#model.wantedExpiry(command, drainMs) : 0;
		this.#model.apply(command, drainMs);
		const { lastSequence } = this.harness.partition;
		if (wantedMs !== 0 && lastSequence > this.#model.sequence) this.#model.touch(command.key ?? '', wantedMs);
		assert.equal(lastSequence, this.#model.sequence);
		if (lastSequence >= this.#states.length) this.#states[lastSequence] = this.#model.copy();
	}

	/** Pins what is stored now, until the partition is opened again. */
	acquireSnapshot(): void {
		this.harness.acquireSnapshot();
		this.#model.pin();
	}

	put(key: string, value: string): void {
		this.execute({ opcode: opPut, key, value });
	}

	/** One batch of the log thread: everything so far, in groups of one drain each. */
	commit(): void {
		this.harness.endDrain();
		this.harness.queue.publish();
		this.harness.runLog();
	}

	/** What durability 'interval' does by the clock. */
	sync(): void {
		this.commit();
		this.harness.executor.sync();
		this.#acknowledge(this.sequence);
	}

	reopen(isClean: boolean): void {
		if (isClean) {
			this.harness.close();
		} else {
			this.commit();
			this.harness.abandon();
		}
		this.harness = this.#open();
		this.#model.snapshots.clear();
	}

	/** What must be there after a crash at a position, as a sequence number. */
	acknowledgedAt(position: number): number {
		let sequence = 0;
		for (const entry of this.#acknowledged) if (entry.position <= position) sequence = entry.sequence;
		return sequence;
	}

	stateAt(sequence: number): State {
		const state = this.#states[sequence];
		assert(state !== undefined, `nothing ever ended at sequence ${sequence}: it is in the middle of a batch`);
		return liveEntries(state, this.nowMs);
	}

	#open(): PartitionHarness {
		const { durability } = this;
		const harness = new PartitionHarness(this.#fileSystem, {
			durability,
			nowMs: this.nowMs,
			partition: this.partitionOptions,
			onReply: (sequence) => {
				if (durability === 'always') this.#acknowledge(sequence);
			},
		});
		// A partition that opened serves what it found: that is a promise like any other.
		this.#acknowledge(harness.partition.lastSequence);
		return harness;
	}

	#acknowledge(sequence: number): void {
		const last = this.#acknowledged.at(-1)?.sequence ?? 0;
		if (sequence > last) this.#acknowledged.push({ position: this.disk.position, sequence });
	}
}

export interface CrashCheckOptions {
	readonly prng: Prng;
	/** Crash states tried at each journal position. */
	readonly perPosition: number;
}

/** Crashes a scenario everywhere. @returns how many crash states were tried @throws the first violation */
export function checkCrashes(scenario: CrashScenario, options: CrashCheckOptions): number {
	const { disk } = scenario;
	const { prng, perPosition } = options;
	let count = 0;
	for (let position = 0; position <= disk.position; position++) {
		const acknowledged = scenario.acknowledgedAt(position);
		for (const crashed of disk.enumerateCrashes(position, { limit: perPosition, prng })) {
			try {
				checkCrashed(scenario, crashed, acknowledged, prng);
			} catch (error) {
				const what = error instanceof Error ? error.message.slice(0, 600) : String(error);
				const where = `acknowledged: ${acknowledged} of ${scenario.sequence}; ${crashed.origin()}`;
				throw new Error(`${where}\n${what}`, { cause: error });
			}
			count++;
		}
	}
	return count;
}

function checkCrashed(scenario: CrashScenario, crashed: SimulatedDisk, acknowledged: number, prng: Prng): void {
	const first = open(scenario, crashed);
	const sequence = first.partition.lastSequence;
	assert(sequence >= acknowledged, `recovered up to ${sequence}, but ${acknowledged} had been acknowledged`);
	assert(sequence <= scenario.sequence, `recovered up to ${sequence}, but ${scenario.sequence} were written`);
	const state = scenario.stateAt(sequence);
	assert.deepEqual(first.scan(), state, `the state after ${sequence} commands`);
	if (prng.chance(0.3)) checkCrashInRecovery(scenario, crashed, sequence, state, prng);
	first.abandon();
	const second = open(scenario, crashed);
	assert.equal(second.partition.lastSequence, sequence, 'a second recovery comes to the same end');
	assert.deepEqual(second.scan(), state, 'a second recovery gives the same state');
	checkLife(scenario, crashed, second, state, prng);
}

function open(scenario: CrashScenario, disk: SimulatedDisk): PartitionHarness {
	return new PartitionHarness(disk, {
		durability: scenario.durability,
		nowMs: scenario.nowMs,
		partition: scenario.partitionOptions,
	});
}

/** Power fails in the middle of recovery, and again in the one after it: nothing may change by that. */
function checkCrashInRecovery(
	scenario: CrashScenario,
	recovered: SimulatedDisk,
	sequence: number,
	state: State,
	prng: Prng,
): void {
	let disk = recovered;
	for (let round = 1; round <= 2; round++) {
		disk = disk.crashAt(prng.below(disk.position + 1), prng);
		const harness = open(scenario, disk);
		assert.equal(harness.partition.lastSequence, sequence, `crash ${round} in recovery: ${disk.origin()}`);
		assert.deepEqual(harness.scan(), state, `crash ${round} in recovery: ${disk.origin()}`);
		harness.abandon();
	}
}

/** Behind all keys of the scenarios. */
const lastKey = '\xff\xff';

/** The partition takes writes, acknowledges them, and keeps them over a crash and a clean close. */
function checkLife(
	scenario: CrashScenario,
	disk: SimulatedDisk,
	harness: PartitionHarness,
	state: State,
	prng: Prng,
): void {
	const before = harness.partition.lastSequence;
	const count = 1 + prng.below(3);
	for (let i = 0; i < count; i++)
		harness.execute({ opcode: opPut, key: lastKey, value: `life ${i}`.repeat(i * 40 + 1) });
	if (prng.chance(0.5)) harness.settle();
	harness.endDrain();
	harness.runLog();
	harness.executor.sync();
	const version = before + count;
	assert.equal(harness.partition.lastSequence, version);
	const value = `life ${count - 1}`.repeat((count - 1) * 40 + 1);
	const expected: State = [...state, [lastKey, { value, expiresAtMs: 0, version }]];
	const isCrash = prng.chance(0.5);
	if (isCrash) harness.abandon();
	else harness.close();
	const last = open(scenario, isCrash ? disk.crashAt(disk.position, prng) : disk);
	assert.equal(last.partition.lastSequence, version, 'what was written after recovery is there');
	assert.deepEqual(last.scan(), expected, 'what was written after recovery is there');
	last.close();
}
