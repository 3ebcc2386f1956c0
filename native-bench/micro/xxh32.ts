/** Hashing one key: JavaScript against the addon, by key size. Where they cross decides who hashes what. */
import xxhash from 'xxhash-addon';
import { xxh32 } from '../../src/base/xxh32.js';
import { type BenchCase, runCases } from './harness.js';

const sizes = [8, 17, 32, 64, 128, 512, 4096, 16384];
let sink = 0;

runCases(
	'xxh32',
	`sizes ${sizes.join(' ')} B, seed 0; addon: static XXHash32.hash(Buffer), digest read as u32`,
	sizes.flatMap((size): BenchCase[] => {
		const key = Buffer.alloc(size);
		for (let i = 0; i < size; i++) key[i] = i * 31;
		return [
			{
				name: `js ${size} B`,
				operationCount: 1,
				run: () => {
					sink ^= xxh32(key, 0, size);
				},
			},
			{
				name: `addon ${size} B`,
				operationCount: 1,
				run: () => {
					sink ^= xxhash.XXHash32.hash(key).readUInt32BE(0);
				},
			},
		];
	}),
);
console.log(`# sink ${sink}`);
