/** The memtable by itself: put, get and walk. What docs/decisions.md says of it comes from here. */
import { Prng } from '../../src/base/prng.js';
import { kindPut, makeEntryView } from '../../src/storage/lsm/entry.js';
import { keyHash } from '../../src/storage/lsm/key-hash.js';
import { Memtable } from '../../src/storage/lsm/memtable/memtable.js';
import { MemtableIterator } from '../../src/storage/lsm/memtable/memtable-iterator.js';
import { isTiny, printHeader, printRounds } from './harness.js';

const entryCount = isTiny ? 1000 : 300_000;
const roundCount = isTiny ? 2 : 5;
const keySize = 16;
const value = Buffer.alloc(100, 'v');
const copied = new Uint8Array(256);

/** Keys in random order, side by side. */
function makeKeys(shape: 'decimal' | 'random'): Buffer {
	const prng = new Prng(1);
	const keys = Buffer.alloc(entryCount * keySize);
	for (let i = 0; i < entryCount; i++) {
		if (shape === 'random') prng.fill(keys, i * keySize, keySize);
		else keys.write(`key:${String(prng.below(entryCount)).padStart(12, '0')}`, i * keySize, 'latin1');
	}
	return keys;
}

function rate(work: () => void): number {
	const start = process.hrtime.bigint();
	work();
	return entryCount / (Number(process.hrtime.bigint() - start) / 1e9);
}

function measure(shape: 'decimal' | 'random'): void {
	const keys = makeKeys(shape);
	const memtable = new Memtable(new SharedArrayBuffer(128 << 20));
	const view = makeEntryView();
	const rates = { put: [] as number[], get: [] as number[], walk: [] as number[] };
	for (let round = 0; round < roundCount; round++) {
		memtable.reset();
		const put = (): void => {
			for (let i = 0; i < entryCount; i++) {
				const at = i * keySize;
				memtable.put(keyHash(keys, at, keySize), keys, at, keySize, i + 1, kindPut, 0, value, 0, value.length);
			}
		};
		const get = (): void => {
			for (let i = 0; i < entryCount; i++) {
				const at = ((i * 7919) % entryCount) * keySize;
				if (!memtable.get(keyHash(keys, at, keySize), keys, at, keySize, Number.MAX_SAFE_INTEGER, view)) continue;
				copied.set(view.value.subarray(view.valueOffset, view.valueOffset + view.valueSize));
			}
		};
		const walk = (): void => {
			const iterator = new MemtableIterator(memtable);
			for (iterator.seekFirst(); iterator.valid; iterator.next());
		};
		rates.put.push(rate(put));
		rates.get.push(rate(get));
		rates.walk.push(rate(walk));
	}
	printRounds(`${shape} keys: put`, rates.put);
	printRounds(`${shape} keys: get, value copied`, rates.get);
	printRounds(`${shape} keys: walk in order`, rates.walk);
}

printHeader(
	'memtable',
	`${entryCount} x (${keySize} B, ${value.length} B), ${roundCount} rounds, hash of the key included`,
);
measure('decimal');
measure('random');
