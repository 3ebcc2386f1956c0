/** What opening a partition does with a damaged log when told to cut it, with newer formats, and with files it does not know. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readU32, writeU32, writeU53 } from '../../../src/base/bytes.js';
import { hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { writeChecksum64 } from '../../../src/codec/checksum.js';
import { opClear, opPut } from '../../../src/command/command-format.js';
import { encodeEdit } from '../../../src/storage/lsm/manifest/manifest-edit.js';
import {
	manifestFormatVersion,
	recordCheckedOffset,
	recordChecksumOffset,
	recordHeaderSize,
	tagFormatVersion,
} from '../../../src/storage/lsm/manifest/manifest-format.js';
import {
	segmentChecksumOffset,
	segmentVersionOffset,
	walFormatVersion,
} from '../../../src/storage/lsm/wal/wal-format.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

const truncate = { partition: { damagedLog: 'truncate' as const } };

function put(harness: PartitionHarness, key: string, size = 10): void {
	harness.execute({ opcode: opPut, key, value: 'v'.repeat(size) });
	harness.endDrain();
	harness.runLog();
}

function keysOf(harness: PartitionHarness): string[] {
	return harness.scan().map(([key]) => key);
}

/** Twelve commands over several segments; the seventh is damaged, although it had been durable. */
function damagedDisk(): SimulatedDisk {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	harness.settle();
	for (let i = 0; i < 12; i++) {
		put(harness, `key${String(i).padStart(2, '0')}`, 600);
		harness.settle();
	}
	harness.close();
	const log = Object.keys(disk.snapshot()).filter((path) => path.endsWith('.wal'));
	const path = log.find((name) => Buffer.from(disk.readFile(name)).includes('key06')) ?? '';
	disk.flipBit(path, Buffer.from(disk.readFile(path)).indexOf('key06'), 0);
	disk.settle();
	return disk;
}

const keptKeys = ['key00', 'key01', 'key02', 'key03', 'key04', 'key05'];

test('a log damaged in the middle is refused, with the place and a way out', () => {
	const disk = damagedDisk();
	const before = disk.snapshot();
	assert.throws(
		() => new PartitionHarness(disk),
		(error) =>
			hasCode(error, 'MILLRACE_CORRUPT') &&
			/\/data\/\d+\.wal is damaged at offset \d+.*truncate.*sequence 6/.test(error.message),
	);
	assert.deepEqual(disk.snapshot(), before);
});

test("damagedLog 'truncate' keeps what comes before the damage, says so, and puts the rest aside", () => {
	const disk = damagedDisk();
	const log = Object.keys(disk.snapshot()).filter((path) => path.endsWith('.wal'));
	const harness = new PartitionHarness(disk, truncate);
	assert.deepEqual(keysOf(harness), keptKeys);
	assert.equal(harness.partition.recovery.notes.length, 1);
	assert.match(harness.partition.recovery.notes[0], /everything after sequence 6 was given up, as asked/);
	const aside = Object.keys(disk.snapshot()).filter((path) => path.endsWith('.damaged'));
	assert(aside.length > 0 && aside.every((path) => log.includes(path.replace('.damaged', ''))), String(aside));
	put(harness, 'later');
	harness.abandon();
	const again = new PartitionHarness(disk);
	assert.deepEqual(keysOf(again), [...keptKeys, 'later']);
	assert.deepEqual(again.partition.recovery.notes, []);
	for (const path of aside) assert(disk.exists(path), 'stays until a person removes it');
	again.close();
});

test('a crash while the log is being cut leaves a log that can be cut', () => {
	const prng = new Prng(testSeed('cut'));
	const disk = damagedDisk();
	new PartitionHarness(disk, truncate).abandon();
	for (let position = 0; position <= disk.position; position++) {
		for (const crashed of disk.enumerateCrashes(position, { limit: 16, prng })) {
			let harness: PartitionHarness;
			try {
				harness = new PartitionHarness(crashed, truncate);
			} catch (error) {
				throw new Error(crashed.origin(), { cause: error });
			}
			assert.deepEqual(keysOf(harness), keptKeys, crashed.origin());
			put(harness, 'later');
			harness.abandon();
			assert.deepEqual(keysOf(new PartitionHarness(crashed)), [...keptKeys, 'later'], crashed.origin());
		}
	}
});

test('a replay that needs more memory than one memtable writes tables, and clears what was cleared', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { partition: { memtableSize: 256 * 1024 } });
	for (let i = 0; i < 60; i++) put(harness, `key${i}`, 900);
	harness.execute({ opcode: opClear });
	for (let i = 0; i < 60; i++) put(harness, `new${String(i).padStart(2, '0')}`, 900);
	const expected = harness.scan();
	harness.settle();
	harness.abandon();
	for (const expectedReplayed of [true, false]) {
		const again = new PartitionHarness(disk);
		assert.deepEqual(again.scan(), expected);
		assert(again.partition.statistics().tables !== 0);
		assert.equal(
			again.partition.recovery.replayedCount >= 60,
			expectedReplayed,
			'what is in tables is not replayed again',
		);
		again.abandon();
	}
});

test('newer formats are refused as such', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	put(harness, 'key');
	harness.close();
	disk.settle();
	const prng = new Prng(1);
	const segment = Object.keys(disk.snapshot()).find((path) => path.endsWith('.wal')) ?? '';
	const header = disk.readFile(segment);
	writeU32(header, segmentVersionOffset, walFormatVersion + 1);
	writeChecksum64(header, 0, segmentChecksumOffset, header, segmentChecksumOffset);
	const newerSegment = disk.crashAt(0, prng);
	newerSegment.writeFile(segment, header);
	assert.throws(() => new PartitionHarness(newerSegment), { code: 'MILLRACE_FORMAT_NEWER' });

	const manifest = `/data/${Buffer.from(disk.readFile('/data/CURRENT')).toString().trim()}`;
	const newerVersion = encodeEdit({}, 0);
	writeU53(newerVersion, recordHeaderSize + 1, manifestFormatVersion + 1);
	const newerField = encodeEdit({}, 0);
	newerField[recordHeaderSize] = 200;
	assert.equal(encodeEdit({}, 0)[recordHeaderSize], tagFormatVersion);
	for (const record of [newerVersion, newerField]) {
		const payloadSize = 9;
		const size = recordHeaderSize - recordCheckedOffset + payloadSize;
		writeChecksum64(record, recordCheckedOffset, size, record, recordChecksumOffset);
		const newer = disk.crashAt(0, prng);
		newer.writeFile(manifest, record);
		assert.throws(() => new PartitionHarness(newer), { code: 'MILLRACE_FORMAT_NEWER' });
	}
});

test('a log of an older format is read, and what is written now is in segments of this one', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	put(harness, 'old');
	harness.settle();
	harness.close();
	const segments = (): string[] => Object.keys(disk.snapshot()).filter((path) => path.endsWith('.wal'));
	assert(segments().length > 1, 'blank ones are kept ready');
	for (const path of segments()) {
		const bytes = disk.readFile(path);
		writeU32(bytes, segmentVersionOffset, walFormatVersion - 1);
		writeChecksum64(bytes, 0, segmentChecksumOffset, bytes, segmentChecksumOffset);
		disk.writeFile(path, bytes);
	}
	const again = new PartitionHarness(disk);
	assert.deepEqual(keysOf(again), ['old']);
	for (let i = 0; i < 4; i++) put(again, `new${i}`, 3000);
	for (const path of segments()) {
		const bytes = disk.readFile(path);
		if (Buffer.from(bytes).includes('new')) assert.equal(readU32(bytes, segmentVersionOffset), walFormatVersion, path);
	}
	again.abandon();
});

test('an older manifest put back is noticed by the tables that are newer than it, and nothing is removed', () => {
	const disk = new SimulatedDisk();
	const first = new PartitionHarness(disk);
	put(first, 'a');
	first.close();
	const files = ['/data/CURRENT', `/data/${Buffer.from(disk.readFile('/data/CURRENT')).toString().trim()}`];
	const old = files.map((path) => ({ path, bytes: disk.readFile(path) }));
	const second = new PartitionHarness(disk);
	put(second, 'b');
	second.flush();
	second.close();
	for (const { path, bytes } of old) disk.writeFile(path, bytes);
	const before = disk.snapshot();
	assert.throws(() => new PartitionHarness(disk), {
		code: 'MILLRACE_CORRUPT',
		message: /newer than all that manifest/,
	});
	assert.deepEqual(disk.snapshot(), before);
});

test('foreign files stay, files that only we make and nothing names go', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	put(harness, 'key');
	harness.close();
	const foreign = [
		'notes.txt',
		'1.wal',
		'CURRENT.bak',
		'MANIFEST',
		'00000009.wal.damaged',
		'a.sst',
		'00000003.wal.tmp.old',
	];
	const dead = ['00000099.sst', '00000098.wal', 'MANIFEST-000077', '00000097.wal.tmp', 'CURRENT.tmp'];
	for (const name of [...foreign, ...dead]) disk.writeFile(`/data/${name}`, new Uint8Array([1, 2, 3]));
	const again = new PartitionHarness(disk);
	for (const name of foreign) assert(disk.exists(`/data/${name}`), `${name} stays`);
	for (const name of dead) assert(!disk.exists(`/data/${name}`), `${name} goes`);
	assert.deepEqual(keysOf(again), ['key']);
	again.close();
});
