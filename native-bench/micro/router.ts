/** Routing one key, with and without a tag; and building the slot table, which happens once at start. */
import { Router } from '../../src/routing/router.js';
import { buildSlotTable } from '../../src/routing/slot-table.js';
import { type BenchCase, runCases } from './harness.js';

const keyCount = 1024;
let sink = 0;

function routing(name: string, partitionCount: number, makeKey: (index: number) => string): BenchCase {
	const router = new Router(partitionCount);
	const keys = Array.from({ length: keyCount }, (_, index) => Buffer.from(makeKey(index)));
	return {
		name,
		operationCount: keyCount,
		run: () => {
			for (const key of keys) sink += router.partitionOf(key, 0, key.length);
		},
	};
}

runCases('router', `${keyCount} distinct keys, Router.partitionOf`, [
	routing('key of 16 B, 2 partitions', 2, (index) => `key:${String(index * 7919).padStart(12, '0')}`),
	routing('key of 16 B, 64 partitions', 64, (index) => `key:${String(index * 7919).padStart(12, '0')}`),
	routing('key of 36 B, 8 partitions', 8, (index) => `3f2a77c1-9b0e-4d52-a3c8-${String(index).padStart(12, '0')}`),
	routing(
		'key of 22 B with a tag of 8 B, 8 partitions',
		8,
		(index) => `{${String(index).padStart(8, '0')}}:profile:last`,
	),
	{ name: 'build the table, 4 partitions', operationCount: 1, run: () => void buildSlotTable(4) },
	{ name: 'build the table, 64 partitions', operationCount: 1, run: () => void buildSlotTable(64) },
]);
console.log(`# sink ${sink}`);
