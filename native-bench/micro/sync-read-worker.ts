/** Thread entry: a reader of sync-read.ts. All threads begin each round together. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { SyncReaderMemory } from '../../src/command/sync-reader.js';
import { NodeFileSystem } from '../../src/env/node-file-system.js';
import { PartitionReader } from '../../src/storage/lsm/shared/partition-reader.js';

export interface ReaderWork {
	readonly memory: SyncReaderMemory;
	readonly entryCount: number;
	readonly valueSize: number;
	readonly roundCount: number;
	readonly threadCount: number;
	/** One word: threads that came to a round. */
	readonly barrier: SharedArrayBuffer;
}

export interface ReaderResult {
	/** Reads in a second, by round. */
	readonly rates: readonly number[];
	/** CPU time of the process during a round, of all threads: nanoseconds for a read of one of them. */
	readonly cpuNs: readonly number[];
}

export function keyText(number: number): string {
	return `key:${String(number).padStart(12, '0')}`;
}

function run({ memory, entryCount, valueSize, roundCount, threadCount, barrier }: ReaderWork): ReaderResult {
	const reader = new PartitionReader(new NodeFileSystem(), memory);
	const arrived = new Int32Array(barrier);
	const keys = Array.from({ length: entryCount }, (_, i) => keyText((i * 7919) % entryCount));
	const scratch = Buffer.alloc(64);
	const rates: number[] = [];
	const cpuNs: number[] = [];
	// The first round warms up.
	for (let round = 0; round <= roundCount; round++) {
		Atomics.add(arrived, 0, 1);
		while (Atomics.load(arrived, 0) < (round + 1) * threadCount);
		const startCpu = process.cpuUsage();
		const start = process.hrtime.bigint();
		for (let i = 0; i < entryCount; i++) {
			const key = keys[i];
			for (let at = 0; at < key.length; at++) scratch[at] = key.charCodeAt(at);
			const value = reader.get(scratch, 0, key.length);
			if (value?.length !== valueSize) throw new Error('lost');
		}
		const tookNs = Number(process.hrtime.bigint() - start);
		const { user, system } = process.cpuUsage(startCpu);
		if (round === 0) continue;
		rates.push(entryCount / (tookNs / 1e9));
		cpuNs.push(((user + system) * 1000) / (entryCount * threadCount));
	}
	reader.close();
	return { rates, cpuNs };
}

if (!isMainThread) parentPort?.postMessage(run(workerData as ReaderWork));
