/** Thread entry: a reader of the stress test. Posts what it did, or throws what it found. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Prng } from '../../src/base/prng.js';
import type { SyncReaderMemory } from '../../src/command/sync-reader.js';
import { NodeFileSystem } from '../../src/env/node-file-system.js';
import { PartitionReader } from '../../src/storage/lsm/shared/partition-reader.js';
import {
	checkStressValue,
	historyCount,
	leftNothing,
	leftUntilMin,
	StressBoard,
	stressKey,
} from './shared-read-stress.js';

export interface StressWork {
	readonly memory: SyncReaderMemory;
	readonly board: SharedArrayBuffer;
	readonly keyCount: number;
	readonly seed: number;
	readonly startMs: number;
}

export interface StressResult {
	readonly readCount: number;
	readonly foundCount: number;
	readonly snapshotReadCount: number;
	readonly statistics: Record<string, number>;
}

class StressReader {
	readonly #board: StressBoard;
	readonly #reader: PartitionReader;
	readonly #prng: Prng;
	readonly #startMs: number;
	/** By key: no older operation may be seen any more. */
	readonly #newest: Int32Array;
	readonly #scratch = Buffer.alloc(64);
	readCount = 0;
	foundCount = 0;
	snapshotReadCount = 0;

	constructor({ memory, board, keyCount, seed, startMs }: StressWork) {
		this.#board = new StressBoard(keyCount, board);
		this.#reader = new PartitionReader(new NodeFileSystem(), memory);
		this.#prng = new Prng(seed);
		this.#startMs = startMs;
		this.#newest = new Int32Array(keyCount);
	}

	run(): StressResult {
		const { state } = this.#board;
		Atomics.add(state, 1, 1);
		while (Atomics.load(state, 0) === 0) {
			this.#readNow(this.#prng.below(this.#newest.length));
			if (this.#prng.chance(0.1)) this.#readSnapshot(this.#prng.below(this.#newest.length));
		}
		const { readCount, foundCount, snapshotReadCount } = this;
		const statistics = this.#reader.statistics();
		this.#reader.close();
		return { readCount, foundCount, snapshotReadCount, statistics };
	}

	#readNow(key: number): void {
		const board = this.#board;
		const oldest = Math.max(Atomics.load(board.acknowledged, key), this.#newest[key]);
		const beforeMs = Date.now() - this.#startMs;
		const value = this.#get(key);
		const afterMs = Date.now() - this.#startMs;
		const newest = Atomics.load(board.begun, key);
		this.readCount++;
		if (newest - oldest >= historyCount) return;
		if (value !== undefined) {
			this.foundCount++;
			const operation = checkStressValue(value, key);
			const left = board.leftBy(key, operation);
			if (operation < oldest || operation > newest || left === leftNothing) {
				throw new Error(`key ${key}: operation ${operation} (left ${left}) where ${oldest}..${newest} may be seen`);
			}
			if (left >= leftUntilMin && left <= beforeMs)
				throw new Error(`key ${key}: expired at ${left}, read at ${beforeMs}`);
			this.#newest[key] = operation;
			return;
		}
		for (let operation = oldest; operation <= newest; operation++) {
			const left = operation === 0 ? leftNothing : board.leftBy(key, operation);
			if (left !== leftNothing && (left < leftUntilMin || left > afterMs)) continue;
			this.#newest[key] = operation;
			return;
		}
		throw new Error(`key ${key}: absent, but none of ${oldest}..${newest} left it so`);
	}

	/** What a snapshot sees, as long as it is the same one before and after. */
	#readSnapshot(key: number): void {
		const { state, seen } = this.#board;
		const change = Atomics.load(state, 2);
		const sequence = Atomics.load(state, 3);
		const operation = Atomics.load(seen, key);
		if ((change & 1) === 1) return;
		const atMs = Date.now() - this.#startMs;
		let value: Uint8Array | undefined;
		try {
			value = this.#get(key, sequence);
		} catch (error) {
			if (Atomics.load(state, 2) === change) throw error;
			return;
		}
		const left = operation === 0 ? leftNothing : this.#board.leftBy(key, operation);
		if (Atomics.load(state, 2) !== change || Atomics.load(this.#board.begun, key) - operation >= historyCount) return;
		if (left >= leftUntilMin && Math.abs(left - atMs) < 1000) return;
		this.snapshotReadCount++;
		const expected = left === leftNothing || (left >= leftUntilMin && left <= atMs) ? undefined : operation;
		const found = value && checkStressValue(value, key);
		if (found !== expected)
			throw new Error(`key ${key} at ${sequence}: ${found} instead of ${expected} (left ${left})`);
	}

	#get(key: number, snapshot?: number): Uint8Array | undefined {
		const size = this.#scratch.write(stressKey(key), 0, 'latin1');
		return this.#reader.get(this.#scratch, 0, size, snapshot);
	}
}

if (!isMainThread) parentPort?.postMessage(new StressReader(workerData as StressWork).run());
