/**
 * Snapshots over partitions are one cut while several threads write. What a cut must show, of numbers that grow:
 *
 *   leader       puts i to a key of one partition, then to one of another: the first is never behind the second
 *   follower     puts what the leader has been told is stored, in another thread: never ahead of the leader's first
 *   batches      one number to a key of each partition, in one batch: always equal
 *   this thread  puts i, and when that is acknowledged takes a snapshot: it has i
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Database } from '../../../src/engine/database.js';
import { open } from '../../../src/open.js';
import { Router } from '../../../src/routing/router.js';
import { TemporaryDirectory } from '../../support/server-process.js';
import { type CutTask, chainCount } from './snapshot-cut-worker.js';

const partitionCount = 3;
const snapshotCount = 50;

/** Something to end keys with, for each partition: a tag says where a key goes. */
function keysOfPartitions(): string[] {
	const router = new Router(partitionCount);
	const keys: string[] = [];
	for (let i = 0; keys.filter((key) => key !== undefined).length < partitionCount; i++) {
		const key = Buffer.from(`{${i}}`);
		keys[router.partitionOf(key, 0, key.length)] ??= key.toString();
	}
	return keys;
}

type Numbers = ReadonlyMap<string, number>;

/** @returns the numbers by key: undefined is before the first */
async function readAt(db: Database, way: number): Promise<Numbers> {
	const numbers = new Map<string, number>();
	const note = (key: Uint8Array, value: Uint8Array | undefined): void => {
		if (value !== undefined) numbers.set(Buffer.from(key).toString(), Number(Buffer.from(value).toString()));
	};
	if (way === 0) {
		for await (const [key, value] of db.scan()) note(key, value);
		return numbers;
	}
	using snapshot = await db.snapshot();
	const names = [...chains.flatMap((chain) => [`leader ${chain}`, `follower ${chain}`, `batch ${chain}`]), 'mine'];
	const keys = names.flatMap((name) => tags.map((tag) => Buffer.from(`${name} ${tag}`)));
	const values = await db.getMany(keys, { snapshot });
	for (const [i, key] of keys.entries()) note(key, values[i]);
	let scanned = 0;
	for await (const [key, value] of db.scan({ snapshot, reverse: true })) {
		assert.equal(Number(Buffer.from(value).toString()), numbers.get(Buffer.from(key).toString()), 'read and scanned');
		scanned++;
	}
	assert.equal(scanned, numbers.size);
	assert.equal(await db.count({ snapshot }), scanned);
	return numbers;
}

const chains = Array.from({ length: chainCount }, (_, chain) => chain);
const tags = keysOfPartitions();
const [first, second, third] = tags as [string, string, string];

test('every snapshot and every scan is one cut, while three threads write and memtables are flushed', async () => {
	using directory = new TemporaryDirectory();
	await using db = await open(directory.path, {
		partitions: partitionCount,
		durability: 'none',
		memtableSize: 1 << 20,
		reserveFileSize: 0,
	});
	const words = new Int32Array(new SharedArrayBuffer(4 + 4 * chainCount));
	const ended = (['leader', 'follower', 'batches'] as const).map((kind) => {
		const attachment = db.attachment();
		const workerData: CutTask = { attachment, kind, keys: tags, words };
		const url = new URL('./snapshot-cut-worker.js', import.meta.url);
		const worker = new Worker(url, { workerData, transferList: attachment.transferList });
		return once(worker, 'message');
	});
	const newest = new Map<string, number>();
	let counts: number[] = [];
	try {
		for (let i = 1; i <= snapshotCount; i++) {
			await db.put(`mine ${tags[i % partitionCount]}`, String(i));
			if (i % 25 === 0) await db.flush();
			const numbers = await readAt(db, i % 3);
			const of = (key: string): number => numbers.get(key) ?? 0;
			assert.equal(of(`mine ${tags[i % partitionCount]}`), i);
			for (const chain of chains) {
				const [a, b] = [of(`leader ${chain} ${first}`), of(`leader ${chain} ${second}`)];
				assert.ok(a === b || a === b + 1, `${a}, then ${b}`);
				const follower = of(`follower ${chain} ${third}`);
				assert.ok(follower <= a, `${follower} follows ${a}`);
				const batch = tags.map((tag) => of(`batch ${chain} ${tag}`));
				assert.equal(new Set(batch).size, 1, `one batch: ${batch}`);
			}
			for (const [key, number] of numbers) {
				assert.ok(number >= (newest.get(key) ?? 0), `${key} goes back`);
				newest.set(key, number);
			}
		}
	} finally {
		Atomics.store(words, 0, 1);
		counts = (await Promise.all(ended)).map(([count]: number[]) => count ?? 0);
	}
	assert.ok(
		counts.every((count) => count > snapshotCount),
		`steps taken: ${counts}`,
	);
	const stats = await db.stats();
	for (const each of stats)
		assert.equal((each.snapshots as { sequences: number }).sequences, 0, 'nothing stays pinned');
});
