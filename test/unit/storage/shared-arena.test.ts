/**
 * One arena that a thread writes and resets without a pause, looked into from another: what is durable is found, whole, in its
 * right version or newer, and nothing of a reset arena is believed. The same looks as a synchronous read's, where races are most
 * likely.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { makeEntryView } from '../../../src/storage/lsm/entry.js';
import { keyHash } from '../../../src/storage/lsm/key-hash.js';
import { ArenaReader } from '../../../src/storage/lsm/shared/arena-reader.js';
import type { ArenaWork } from '../../support/shared-arena-worker.js';
import { checkStressValue, stressKey } from '../../support/shared-read-stress.js';

const keyCount = 3;
const resetCountMin = 3000;
const readCountMin = 200_000;

test('an arena that is written and reset meanwhile is read whole', async () => {
	const arena = new SharedArrayBuffer(1024 * 1024);
	const memory = new SharedArrayBuffer(16);
	const words = new Int32Array(memory);
	const workerData: ArenaWork = { arena, words: memory, keyCount };
	const worker = new Worker(new URL('../../support/shared-arena-worker.js', import.meta.url), { workerData });
	const exit = once(worker, 'exit');
	await once(worker, 'online');
	try {
		const reader = new ArenaReader(arena);
		const view = makeEntryView();
		const keys = Array.from({ length: keyCount }, (_, key) => Buffer.from(stressKey(key)));
		const hashes = keys.map((key) => keyHash(key, 0, key.length));
		const copied = Buffer.alloc(1024);
		let intactCount = 0;
		for (let i = 0; intactCount < readCountMin || Atomics.load(words, 3) < resetCountMin; i++) {
			const key = i % keyCount;
			const generation = Atomics.load(words, 1);
			const durable = Atomics.load(words, 2);
			// Sometimes at once, sometimes so late that a reset is half done.
			for (let wait = i % 100; wait > 0; wait--) Atomics.load(words, 0);
			const entry = reader.find(hashes[key], keys[key], 0, keys[key].length, durable);
			const isWhole = entry > 0 && reader.show(entry, view) && view.valueSize <= copied.length;
			if (isWhole) copied.set(view.value.subarray(view.valueOffset, view.valueOffset + view.valueSize));
			if (generation === 0 || !reader.isIntact(generation)) continue;
			intactCount++;
			assert.ok(isWhole, `key ${key} is found (${entry}) at ${durable}, generation ${generation}`);
			const operation = checkStressValue(copied.subarray(0, view.valueSize), key);
			assert.equal(operation, view.sequence % 16, 'the value of this version');
			// Every key has its turn.
			const isNewest = view.sequence <= durable && view.sequence > durable - 2 * keyCount;
			assert.ok(isNewest, `version ${view.sequence} at ${durable}`);
		}
	} finally {
		Atomics.store(words, 0, 1);
		await exit;
	}
});
