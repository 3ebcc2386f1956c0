/** A checkpoint on the simulated disk: links or copies, nothing left of a failure, and no crash that leaves a false one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { type CheckpointJob, makeCheckpoint } from '../../../src/storage/lsm/inspect/checkpoint.js';
import { ManifestStore } from '../../../src/storage/lsm/manifest/manifest-store.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const prng = new Prng(testSeed('checkpoint'));
const tables = [
	{ id: 4, level: 0, size: 700 },
	{ id: 2, level: 1, size: 1500 },
	{ id: 3, level: 1, size: 9 },
];
const job: CheckpointJob = { kind: 'checkpoint', target: '/copies/one', tables, flushedSequence: 77, nextFileId: 9000 };
const content = (id: number, size: number): Uint8Array => new Uint8Array(size).fill(id);

function diskWithTables(): SimulatedDisk {
	const disk = new SimulatedDisk({ directories: ['/data', '/copies'] });
	for (const { id, size } of tables) disk.writeFile(`/data/0000000${id}.sst`, content(id, size));
	disk.settle();
	return disk;
}

/** Whole and as ordered, or refused by whoever opens it, or not there. @returns which */
function judge(disk: SimulatedDisk): string {
	if (!disk.exists(job.target)) return 'absent';
	if (disk.list(job.target).length === 0) return 'empty';
	try {
		const store = ManifestStore.open(disk, job.target);
		if (store.number === 0) return 'without a table';
		assert.deepEqual([...store.state.tables.values()], tables);
		assert.equal(store.state.flushedSequence, 77);
		assert.equal(store.state.nextFileId, 9000);
		assert.equal(store.state.segments.size, 0);
	} catch (error) {
		if (hasCode(error, 'MILLRACE_CORRUPT')) return 'refused';
		throw error;
	}
	for (const { id, size } of tables) {
		assert.deepEqual(disk.readFile(`${job.target}/0000000${id}.sst`), content(id, size), `table ${id}`);
	}
	return 'whole';
}

test('tables are linked, and stay when the partition removes its own names', () => {
	const disk = diskWithTables();
	const before = disk.usedBytes();
	const result = makeCheckpoint(disk, '/data', job);
	assert.equal(result.copiedBecause, '');
	assert.deepEqual([result.tableCount, result.tableBytes, result.lastSequence], [3, 2209, 77]);
	assert(disk.usedBytes() - before < 300, 'no table was copied');
	for (const { id } of tables) disk.remove(`/data/0000000${id}.sst`);
	disk.syncDirectory('/data');
	assert.equal(judge(disk), 'whole');
});

test('where links cannot be, tables are copied, and the result says why', () => {
	const disk = diskWithTables();
	disk.failNext({ operation: 'link', error: 'EXDEV', persistent: true });
	assert.equal(makeCheckpoint(disk, '/data', job).copiedBecause, 'EXDEV');
	assert.equal(judge(disk), 'whole');
	disk.writeFile('/data/00000004.sst', new Uint8Array(700));
	assert.equal(judge(disk), 'whole', 'a copy is a file of its own');
});

test('crashed at every moment: whole once it was reported, else absent, refused or whole', () => {
	for (const isCopying of [false, true]) {
		const disk = diskWithTables();
		if (isCopying) disk.failNext({ operation: 'link', error: 'EXDEV', persistent: true });
		makeCheckpoint(disk, '/data', job);
		const seen = new Map<string, number>();
		for (let position = 0; position <= disk.position; position++) {
			for (const crashed of disk.enumerateCrashes(position, { limit: 64, prng })) {
				const verdict = judge(crashed);
				if (position === disk.position) assert.equal(verdict, 'whole', crashed.origin());
				seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
			}
		}
		assert(seen.has('absent') && seen.has('refused') && seen.has('whole'), JSON.stringify([...seen]));
	}
});

test('a failure at any call leaves nothing behind, and the partition as it was', () => {
	const failures = [
		['link', 'EIO'],
		['write', 'EIO'],
		['write', 'ENOSPC'],
		['sync', 'EIO'],
		['syncDirectory', 'EIO'],
		['open', 'EIO'],
	] as const;
	let count = 0;
	for (const [operation, error] of failures) {
		for (let after = 0; after < 20; after++) {
			const disk = diskWithTables();
			const before = disk.snapshot();
			// One fault too many would hit the cleaning up.
			disk.failNext({ operation, error, after });
			let isFailed = false;
			try {
				makeCheckpoint(disk, '/data', job);
			} catch (thrown) {
				isFailed = true;
				assert.equal((thrown as { code?: string }).code, error, `${operation} after ${after}`);
			}
			if (!isFailed) break;
			count++;
			assert.equal(disk.exists(job.target), false, `${operation} after ${after}`);
			assert.deepEqual(disk.snapshot(), before);
			disk.clearFaults();
			makeCheckpoint(disk, '/data', job);
			assert.equal(judge(disk), 'whole');
		}
	}
	assert(count > 10, `${count} failures`);
});

test('a directory that exists, or whose parent does not, is refused and left alone', () => {
	const disk = diskWithTables();
	disk.makeDirectory('/copies/one');
	assert.throws(() => makeCheckpoint(disk, '/data', job), { code: 'MILLRACE_DIRECTORY', message: /exists already/ });
	const orphan = { ...job, target: '/nowhere/one' };
	assert.throws(() => makeCheckpoint(disk, '/data', orphan), { code: 'MILLRACE_DIRECTORY', message: /does not exist/ });
	assert.deepEqual(disk.list('/copies/one'), []);
	assert.equal(disk.exists('/nowhere'), false);
});
