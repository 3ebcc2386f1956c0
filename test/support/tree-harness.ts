/**
 * Drives a tree and its maintenance (flushes, compactions, edits) in one thread over a simulated disk, without commands and
 * without a log: entries go straight into the tree, edits are durable when `settleEdits` says so, jobs run when `runJob` is
 * called.
 *
 * Tables are small, so that a few thousand entries fill four levels.
 */
import { assert } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import { CommandResult } from '../../src/storage/lsm/apply/command-result.js';
import { findLive, found } from '../../src/storage/lsm/apply/find-live.js';
import { kindPut, kindTombstone } from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import type { LsmTree } from '../../src/storage/lsm/lsm-tree.js';
import type { PartitionHost } from '../../src/storage/lsm/partition.js';
import { type PartitionOptions, partitionOptions } from '../../src/storage/lsm/partition-options.js';
import { recoverPartition } from '../../src/storage/lsm/recovery/recovery.js';
import { type Job, jobFailureOf, runJob } from '../../src/storage/lsm/upkeep/jobs.js';
import { Maintenance } from '../../src/storage/lsm/upkeep/maintenance.js';
import { SimulatedDisk } from './simulated-disk.js';

export const tinyLevels: Partial<PartitionOptions> = {
	memtableSize: 16 * 1024,
	segmentSize: 4096,
	blockSize: 256,
	tableFileSize: 2048,
	baseLevelSize: 4096,
	levelSizeRatio: 3,
	blockCacheSize: 16 * 1024,
	reserveFileSize: 0,
	levelZeroSlowCount: 100,
	levelZeroStopCount: 200,
};

/** Takes messages and forgets them. */
class SinkQueue {
	readonly target = new Uint8Array(1 << 20);

	reserve(): number {
		return 0;
	}

	commit(): void {}

	publish(): void {}
}

const noBytes = new Uint8Array(0);

export class TreeHarness implements PartitionHost {
	readonly queue = new SinkQueue();
	readonly disk: SimulatedDisk;
	readonly directory = '/data';
	readonly options: PartitionOptions;
	readonly tree: LsmTree;
	readonly maintenance: Maintenance;
	readonly jobs: Job[] = [];
	readonly snapshots: number[] = [];
	sequence: number;
	nowMs = 1_000_000;
	#editsPut = 0;
	readonly #result = new CommandResult();

	constructor(options: Partial<PartitionOptions> = {}, disk = new SimulatedDisk()) {
		this.disk = disk;
		this.options = partitionOptions({ ...tinyLevels, ...options });
		const recovered = recoverPartition(disk, this.directory, this.options, this.nowMs);
		this.tree = recovered.tree;
		this.sequence = recovered.lastSequence;
		this.tree.pinnedSequences = () => this.snapshots;
		this.maintenance = new Maintenance(disk, this.directory, this.options, this, recovered, () => undefined);
		this.tick();
	}

	// --- the host -----------------------------------------------------------------------------------

	commitPosition(): number {
		this.#editsPut++;
		return 0;
	}

	submitJob(job: Job): void {
		this.jobs.push(structuredClone(job));
	}

	waitForLog(): void {}

	note(): void {}

	clockMs(): number {
		return this.nowMs;
	}

	// --- writes -------------------------------------------------------------------------------------

	/** @returns its sequence */
	put(key: string, value: string, expiresAtMs = 0): number {
		return this.#store(key, kindPut, expiresAtMs, Buffer.from(value, 'latin1'));
	}

	remove(key: string): number {
		return this.#store(key, kindTombstone, 0, noBytes);
	}

	deleteRange(start: string, end: string): number {
		this.#makeRoom();
		const from = Buffer.from(start, 'latin1');
		const to = Buffer.from(end, 'latin1');
		this.tree.deleteRange(from, 0, from.length, to, 0, to.length, ++this.sequence);
		return this.sequence;
	}

	clear(): number {
		while (!this.tree.maybeFreeArena()) assert(this.runJob(), 'a job frees an arena');
		this.snapshots.length = 0;
		this.maintenance.clear(++this.sequence);
		return this.sequence;
	}

	rotate(): void {
		if (this.tree.active.isEmpty) return;
		while (!this.tree.maybeFreeArena()) assert(this.runJob(), 'a job frees an arena');
		this.maintenance.rotate();
	}

	// --- reads --------------------------------------------------------------------------------------

	/** The live value at a sequence, or undefined. */
	get(key: string, maxSequence = Number.MAX_SAFE_INTEGER): string | undefined {
		const bytes = Buffer.from(key, 'latin1');
		const hash = keyHash(bytes, 0, bytes.length);
		if (!findLive(this.tree, this.nowMs, hash, bytes, 0, bytes.length, maxSequence, this.#result)) return undefined;
		const { value, valueOffset, valueSize } = found;
		return Buffer.from(value.subarray(valueOffset, valueOffset + valueSize)).toString('latin1');
	}

	// --- what happens beside it ---------------------------------------------------------------------

	tick(): void {
		while (this.tree.expiries.advance(this.nowMs, 1000, () => undefined));
		this.maintenance.nowMs = this.nowMs;
		this.maintenance.tick(this.nowMs);
	}

	/** Does one waiting job: the oldest, or any by chance. @returns false when there is none */
	runJob(prng?: Prng): boolean {
		const [job] = this.jobs.splice(prng ? prng.below(this.jobs.length) : 0, 1);
		if (job === undefined) return false;
		try {
			const result = structuredClone(runJob(this.disk, this.directory, job));
			this.maintenance.onJobDone(job, result, undefined);
		} catch (error) {
			this.maintenance.onJobDone(job, undefined, jobFailureOf(error));
		}
		return true;
	}

	/** All edits put are durable. */
	settleEdits(): void {
		this.maintenance.onEditsDone(this.#editsPut);
	}

	settle(): void {
		do this.settleEdits();
		while (this.runJob());
	}

	/** Levels as lines: `5: a-f g-m`, those that have tables. */
	draw(): string {
		const lines = this.tree.levels.all.map(({ metas }, level) => {
			const spans = metas.map(({ firstKey, lastKey }) => `${Buffer.from(firstKey)}-${Buffer.from(lastKey)}`);
			return spans.length === 0 ? '' : `${level}: ${spans.join(' ')}`;
		});
		return lines.filter((line) => line !== '').join('\n');
	}

	get levelSizes(): number[] {
		return this.tree.levels.all.map((level) => level.size);
	}

	#store(key: string, kind: number, expiresAtMs: number, value: Uint8Array): number {
		this.#makeRoom(value.length);
		const bytes = Buffer.from(key, 'latin1');
		const hash = keyHash(bytes, 0, bytes.length);
		this.sequence++;
		this.tree.put(hash, bytes, 0, bytes.length, this.sequence, kind, expiresAtMs, value, 0, value.length);
		return this.sequence;
	}

	#makeRoom(valueSize = 100): void {
		if (!this.tree.active.hasRoom(64, valueSize)) this.rotate();
	}
}
