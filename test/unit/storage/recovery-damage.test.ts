/**
 * Damage to the files of a partition, byte by byte: a partition opens with all it had, or refuses with a code. Only what
 * nobody can tell from a torn tail may be given up: groups that no later one says were durable.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readU53 } from '../../../src/base/bytes.js';
import { MillraceError } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import { opPut } from '../../../src/command/command-format.js';
import { manifestFileName } from '../../../src/storage/lsm/manifest/manifest-format.js';
import { readCurrent, readManifest } from '../../../src/storage/lsm/manifest/manifest-reader.js';
import { SegmentReader } from '../../../src/storage/lsm/wal/segment-reader.js';
import { groupDurableSequenceOffset, groupSize } from '../../../src/storage/lsm/wal/wal-format.js';
import { PartitionHarness } from '../../support/partition-harness.js';
import type { ModelEntry } from '../../support/partition-model.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

type State = [string, ModelEntry][];

const prng = new Prng(1);

/** A copy of a disk, all of it durable. */
function copyOf(disk: SimulatedDisk): SimulatedDisk {
	disk.settle();
	return disk.crashAt(0, prng);
}

function put(harness: PartitionHarness, index: number, size: number): void {
	harness.execute({ opcode: opPut, key: `key${index}`, value: `${index}`.padEnd(size, 'v') });
	harness.endDrain();
	harness.runLog();
}

interface Opened {
	readonly state: State;
	readonly lastSequence: number;
}

/** Opens and looks. @returns what is there, or the code of the refusal @throws anything that is no refusal */
function tryOpen(disk: SimulatedDisk): Opened | string {
	let harness: PartitionHarness;
	try {
		harness = new PartitionHarness(disk);
	} catch (error) {
		if (!(error instanceof MillraceError)) throw error;
		assert(error.message.includes('/data'), `says where: ${error.message}`);
		return error.code;
	}
	const opened = { state: harness.scan(), lastSequence: harness.partition.lastSequence };
	harness.abandon();
	return opened;
}

/**
 * Changes every byte of a file, one at a time: one bit, and all of them.
 * @param lostFrom from this offset on, an older state with at least `sequenceMin` is fine, too
 * @returns how many changes were refused
 */
function damageEachByte(
	disk: SimulatedDisk,
	path: string,
	end: number,
	expected: Opened,
	sequenceMin = expected.lastSequence,
): number {
	const bytes = disk.readFile(path);
	let refusedCount = 0;
	for (let offset = 0; offset < end; offset++) {
		for (const change of [1 << (offset % 8), 0xff]) {
			const damaged = copyOf(disk);
			const changed = bytes.slice();
			changed[offset] ^= change;
			damaged.writeFile(path, changed);
			const where = `${path} at ${offset} ^ ${change}`;
			let opened: Opened | string;
			try {
				opened = tryOpen(damaged);
			} catch (error) {
				throw new Error(where, { cause: error });
			}
			if (typeof opened === 'string') {
				assert(/^MILLRACE_(CORRUPT|FORMAT_NEWER)$/.test(opened), `${where}: ${opened}`);
				refusedCount++;
				continue;
			}
			assert(opened.lastSequence >= sequenceMin, `${where}: lost ${opened.lastSequence + 1}..${expected.lastSequence}`);
			const kept = expected.state.filter(([, entry]) => entry.version <= (opened as Opened).lastSequence);
			assert.deepEqual(opened.state, kept, where);
		}
	}
	return refusedCount;
}

function segmentPaths(disk: SimulatedDisk): string[] {
	return Object.keys(disk.snapshot()).filter((path) => path.endsWith('.wal'));
}

/** Where the groups of a segment end, and the newest sequence that one of them says was durable. */
function usedPart(disk: SimulatedDisk, path: string): { end: number; proven: number } {
	let end = 64;
	let proven = 0;
	new SegmentReader(disk, '/data').read(Number(/(\d+)\.wal$/.exec(path)?.[1]), (group) => {
		end = group.offset + groupSize(group.payloadSize);
		proven = Math.max(proven, readU53(group.bytes, group.offset + groupDurableSequenceOffset));
	});
	return { end, proven };
}

/** The manifest that CURRENT names, and the end of its records and of some of the zeros behind them. */
function liveManifest(disk: SimulatedDisk): { path: string; end: number } {
	const number = readCurrent(disk, '/data');
	const { size } = readManifest(disk, '/data', number);
	return { path: `/data/${manifestFileName(number)}`, end: size + 64 };
}

function mustOpen(disk: SimulatedDisk): Opened {
	const opened = tryOpen(copyOf(disk));
	assert(typeof opened !== 'string', `refused: ${JSON.stringify(opened)}`);
	return opened;
}

test('after a clean close, no changed byte of the log loses anything', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	harness.settle();
	for (let i = 0; i < 14; i++) put(harness, i, i % 4 === 0 ? 900 : 70);
	harness.close();
	const expected = mustOpen(disk);
	assert.equal(expected.lastSequence, 14);
	const used = segmentPaths(disk).filter((path) => usedPart(disk, path).end > 64);
	assert(used.length > 1, 'the log has more than one segment');
	for (const path of used) {
		const { end } = usedPart(disk, path);
		const refusedCount = damageEachByte(disk, path, Math.min(end + 16, 4096), expected);
		assert(refusedCount > 2 * 500, `${path}: ${refusedCount} of ${2 * end} refused`);
	}
});

test('a segment filled to its last byte is sealed, too', () => {
	for (let size = 3860; size <= 3960; size += 4) {
		const disk = new SimulatedDisk();
		const harness = new PartitionHarness(disk);
		harness.settle();
		put(harness, 1, size);
		harness.close();
		const [path] = segmentPaths(disk);
		const damaged = copyOf(disk);
		damaged.flipBit(path, 1000, 3);
		assert.equal(tryOpen(damaged), 'MILLRACE_CORRUPT', `a value of ${size} bytes`);
	}
});

test('without a clean close, what a later group proves durable is refused when damaged; only the last may look torn', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	for (let i = 0; i < 6; i++) put(harness, i, 70);
	harness.abandon();
	const expected = mustOpen(disk);
	const [path] = segmentPaths(disk);
	const { end, proven } = usedPart(disk, path);
	assert.equal(proven, 5);
	const refusedCount = damageEachByte(disk, path, end, expected, proven);
	assert(refusedCount > end, `${refusedCount} refused`);
});

test('a changed byte of a manifest or of CURRENT loses nothing', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	harness.settle();
	for (let i = 0; i < 30; i++) {
		put(harness, i, 600);
		if (i % 8 === 7) harness.settle();
	}
	harness.close();
	const expected = mustOpen(disk);
	const { path, end } = liveManifest(disk);
	const refusedCount = damageEachByte(disk, path, end, expected);
	assert(refusedCount > 100, `${refusedCount} refused`);
	assert(damageEachByte(disk, '/data/CURRENT', disk.readFile('/data/CURRENT').length, expected) > 20);
});

test('a manifest whose last record is gone loses no segment that is in use', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk, { partition: { segmentSpareCount: 1 } });
	harness.settle();
	// The last edit names the spare that the groups then move into.
	for (let i = 0; i < 7; i++) put(harness, i, 700);
	harness.abandon();
	const expected = mustOpen(disk);
	const { path, end } = liveManifest(disk);
	damageEachByte(disk, path, end, expected);
});

test('missing files are refused by name, not begun anew', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	for (let i = 0; i < 20; i++) put(harness, i, 600);
	harness.flush();
	put(harness, 21, 10);
	harness.close();
	// Opening removes files that nothing names.
	tryOpen(disk);
	for (const path of Object.keys(disk.snapshot())) {
		const damaged = copyOf(disk);
		damaged.remove(path);
		const before = damaged.snapshot();
		assert.equal(tryOpen(damaged), 'MILLRACE_CORRUPT', path);
		assert.deepEqual(damaged.snapshot(), before, 'a refusal changes nothing');
	}
});

test('without CURRENT, a log that holds something is never taken for a new directory', () => {
	const disk = new SimulatedDisk();
	const harness = new PartitionHarness(disk);
	put(harness, 1, 100);
	harness.close();
	disk.remove('/data/CURRENT');
	const before = disk.snapshot();
	assert.equal(tryOpen(disk), 'MILLRACE_CORRUPT');
	assert.deepEqual(disk.snapshot(), before, 'a refusal changes nothing');
});
