/**
 * Threads that read a partition without a message while it does its worst in another: memtables of 16 KiB that are rotated,
 * flushed and used again hundreds of times, tables compacted and removed, keys deleted one by one, by ranges and all at once,
 * expiries, snapshots. Every value tells what it is (test/support/shared-read-stress.ts says what readers check).
 *
 * MILLRACE_STRESS_OPERATIONS: operations of the writer (5,000 by default).
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Prng } from '../../../src/base/prng.js';
import { flagArgument, opPut } from '../../../src/command/command-format.js';
import { NodeFileSystem } from '../../../src/env/node-file-system.js';
import type { FileHandle, OpenMode } from '../../../src/env/ports.js';
import { testSeed } from '../../support/seed.js';
import { SharedReadRig } from '../../support/shared-read-rig.js';
import {
	leftNothing,
	leftUntilMin,
	leftValue,
	StressBoard,
	stressKey,
	stressValue,
} from '../../support/shared-read-stress.js';
import type { StressResult, StressWork } from '../../support/shared-read-stress-worker.js';

const keyCount = 60;
const readerCount = 2;
const operationCount = Number(process.env.MILLRACE_STRESS_OPERATIONS ?? 5000);

/** Nobody pulls the plug here, and syncs would be most of the time. */
class UnsyncedFileSystem extends NodeFileSystem {
	override open(path: string, mode: OpenMode): FileHandle {
		return Object.assign(super.open(path, mode), { sync: () => undefined });
	}

	override syncDirectory(): void {}
}

class StressWriter {
	readonly #rig: SharedReadRig;
	readonly #board: StressBoard;
	readonly #prng: Prng;
	readonly #startMs: number;
	#snapshot = 0;

	constructor(rig: SharedReadRig, board: StressBoard, prng: Prng, startMs: number) {
		this.#rig = rig;
		this.#board = board;
		this.#prng = prng;
		this.#startMs = startMs;
	}

	step(): void {
		const prng = this.#prng;
		this.#rig.harness.nowMs = Date.now();
		const chance = prng.below(1000);
		if (chance < 820) this.#put(prng.below(keyCount));
		else if (chance < 900) this.#delete(prng.below(keyCount));
		else if (chance < 925) this.#deleteRange();
		else if (chance < 928) this.#clear();
		else if (chance < 950) this.#renewSnapshot();
		else if (chance < 990) this.#rig.harness.runJob(prng);
		else this.#rig.settle();
		if (prng.chance(0.3)) this.#commit();
	}

	/** What was done so far is durable, then acknowledged. */
	#commit(): void {
		this.#rig.runLog();
		const { begun, acknowledged } = this.#board;
		for (let key = 0; key < keyCount; key++) Atomics.store(acknowledged, key, begun[key]);
	}

	#put(key: number): void {
		const prng = this.#prng;
		const isShort = prng.chance(0.2);
		const left = isShort ? Date.now() - this.#startMs + leftUntilMin + prng.below(30) : leftValue;
		const operation = this.#board.begin(key, left);
		const value = stressValue(key, operation, left, prng.below(prng.chance(0.1) ? 4000 : 300)).toString('latin1');
		const expiry = isShort ? { flags: flagArgument, argument: this.#startMs + left } : {};
		this.#rig.execute({ opcode: opPut, key: stressKey(key), value, ...expiry });
	}

	#delete(key: number): void {
		this.#board.begin(key, leftNothing);
		this.#rig.delete(stressKey(key));
	}

	#deleteRange(): void {
		const first = this.#prng.below(keyCount);
		const end = Math.min(keyCount, first + 1 + this.#prng.below(8));
		for (let key = first; key < end; key++) this.#board.begin(key, leftNothing);
		this.#rig.deleteRange(stressKey(first), stressKey(end));
	}

	#clear(): void {
		this.#endSnapshot();
		for (let key = 0; key < keyCount; key++) this.#board.begin(key, leftNothing);
		this.#rig.clear();
	}

	#renewSnapshot(): void {
		this.#endSnapshot();
		const { state, seen, begun } = this.#board;
		this.#snapshot = this.#rig.harness.acquireSnapshot();
		this.#commit();
		for (let key = 0; key < keyCount; key++) Atomics.store(seen, key, begun[key]);
		Atomics.store(state, 3, this.#snapshot);
		Atomics.add(state, 2, 1);
	}

	#endSnapshot(): void {
		if (this.#snapshot === 0) return;
		Atomics.add(this.#board.state, 2, 1);
		this.#rig.harness.partition.releaseSnapshot(this.#snapshot);
		this.#snapshot = 0;
	}
}

function startReaders(rig: SharedReadRig, board: StressBoard, seed: number, startMs: number): Promise<StressResult>[] {
	return Array.from({ length: readerCount }, async (_, i) => {
		const work: StressWork = { memory: rig.memory, board: board.memory, keyCount, seed: seed + i, startMs };
		const url = new URL('../../support/shared-read-stress-worker.js', import.meta.url);
		const [result] = (await once(new Worker(url, { workerData: work }), 'message')) as [StressResult];
		return result;
	});
}

test('readers in other threads see whole values, never older ones, and all that was acknowledged', async () => {
	const seed = testSeed('shared reads stress');
	const directory = mkdtempSync(join(tmpdir(), 'millrace-shared-reads-'));
	try {
		const startMs = Date.now();
		const rig = new SharedReadRig({
			fileSystem: new UnsyncedFileSystem(),
			directory,
			partition: { memtableCountMax: 2 + (seed % 2) },
			nowMs: startMs,
		});
		const board = new StressBoard(keyCount);
		board.state[2] = 1;
		let isOver = false;
		const results = Promise.all(startReaders(rig, board, seed, startMs)).finally(() => {
			isOver = true;
		});
		// It is awaited at the end; until then a failure is no surprise.
		results.catch(() => undefined);
		// The event loop turns now and then: a reader that fails is heard at once.
		const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
		while (Atomics.load(board.state, 1) < readerCount && !isOver) await turn();
		const writer = new StressWriter(rig, board, new Prng(seed), startMs);
		for (let i = 0; i < operationCount && !isOver; i++) {
			writer.step();
			if (i % 64 === 0) await turn();
		}
		Atomics.store(board.state, 0, 1);
		const sums: Record<string, number> = {};
		for (const { statistics, ...counts } of await results) {
			for (const [name, count] of Object.entries({ ...counts, ...statistics })) sums[name] = (sums[name] ?? 0) + count;
		}
		console.log(JSON.stringify({ flushes: rig.harness.partition.maintenance.flushCount, ...sums }));
		assert.ok(sums.readCount > 100 && sums.foundCount > 10 && sums.snapshotReadCount > 0, 'readers have read');
		assert.ok(sums.viewsTaken > readerCount && sums.tablesOpened > 0, 'the partition was busy meanwhile');
		rig.harness.close();
	} finally {
		rmSync(directory, { recursive: true });
	}
});
