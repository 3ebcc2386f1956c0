/**
 * Thread entry: the writer of an arena (test/unit/storage/shared-arena.test.ts). Puts ever new versions of a few keys, as fast as
 * it can, and soon begins anew; every key is there again before the generation is told.
 *
 *   words   0: stop | 1: generation that is whole (0: none is) | 2: durable sequence | 3: resets
 */
import { isMainThread, workerData } from 'node:worker_threads';
import { kindPut } from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../src/storage/lsm/memtable/memtable.js';
import { arenaGenerationWord } from '../../src/storage/lsm/memtable/memtable-format.js';
import { stressKey, stressValue } from './shared-read-stress.js';

/** Until the next reset: a good part of the time is spent in resets. */
const putCount = 60;

export interface ArenaWork {
	readonly arena: SharedArrayBuffer;
	readonly words: SharedArrayBuffer;
	readonly keyCount: number;
}

function run({ arena, words: memory, keyCount }: ArenaWork): void {
	const words = new Int32Array(memory);
	const memtable = new Memtable(arena);
	const keys = Array.from({ length: keyCount }, (_, key) => Buffer.from(stressKey(key)));
	const hashes = keys.map((key) => keyHash(key, 0, key.length));
	// Made before: the more puts the better.
	const values = keys.map((_, key) => Array.from({ length: 16 }, (__, i) => stressValue(key, i, 0, (i * 37) % 200)));
	let sequence = 0;
	const put = (key: number): void => {
		const value = values[key][++sequence % 16];
		memtable.put(hashes[key], keys[key], 0, keys[key].length, sequence, kindPut, 0, value, 0, value.length);
		Atomics.store(words, 2, sequence);
	};
	while (Atomics.load(words, 0) === 0) {
		Atomics.store(words, 1, 0);
		memtable.reset();
		for (let key = 0; key < keyCount; key++) put(key);
		Atomics.store(words, 1, memtable.words[arenaGenerationWord]);
		Atomics.add(words, 3, 1);
		for (let i = 0; i < putCount; i++) put(sequence % keyCount);
	}
}

if (!isMainThread) run(workerData as ArenaWork);
