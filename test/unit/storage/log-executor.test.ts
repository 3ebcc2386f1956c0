/** Groups from the builder through the executor to the reader, and what the executor does to the disk in which order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeU32 } from '../../../src/base/bytes.js';
import { Prng } from '../../../src/base/prng.js';
import type { Durability } from '../../../src/command/worker-boot.js';
import type { LogQueue } from '../../../src/storage/lsm/log-queue.js';
import {
	GroupBuilder,
	maybePutChannel,
	maybePutEdit,
	maybePutSignal,
} from '../../../src/storage/lsm/wal/group-builder.js';
import { LogExecutor } from '../../../src/storage/lsm/wal/log-executor.js';
import {
	logForget,
	logKindOffset,
	logMarker,
	logPublish,
	logStop,
	logSync,
} from '../../../src/storage/lsm/wal/log-message-format.js';
import { prepareSegment } from '../../../src/storage/lsm/wal/segment-preparer.js';
import { SegmentReader } from '../../../src/storage/lsm/wal/segment-reader.js';
import { groupHeaderSize } from '../../../src/storage/lsm/wal/wal-format.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

/** A queue of one place that carries each message out at once. */
class DirectQueue implements LogQueue {
	target = new Uint8Array(1 << 20).fill(0xcd);
	executor: LogExecutor | undefined;
	#size = 0;

	reserve(size: number): number {
		if (size + 8 > this.target.length) this.target = new Uint8Array(size + 8).fill(0xcd);
		this.#size = size;
		return 8;
	}

	commit(size = this.#size): void {
		this.executor?.accept(this.target, 8, size);
	}

	publish(): void {}
}

class Rig {
	readonly disk = new SimulatedDisk({ directories: ['/d'] });
	readonly events: string[] = [];
	readonly queue = new DirectQueue();
	readonly executor: LogExecutor;
	readonly builder = new GroupBuilder(this.queue);

	constructor(durability: Durability, segmentIds: readonly number[]) {
		for (const id of segmentIds) prepareSegment(this.disk, '/d', id, 4096);
		this.executor = new LogExecutor(this.disk, '/d', durability, {
			publish: (position, channel) => this.events.push(`publish ${channel > 0 ? `${channel}: ` : ''}${position}`),
			forget: (channel) => this.events.push(`forget ${channel}`),
			reached: (sequence) => this.events.push(`reached ${sequence}`),
			edited: () => this.events.push('edited'),
		});
		this.queue.executor = this.executor;
		this.disk.settle();
	}

	/** A group of commands of these bytes. @returns the bytes it takes */
	group(id: number, offset: number, firstSequence: number, commands: readonly Uint8Array[], position = 0): number {
		assert(this.builder.maybeOpen(commands[0].length, firstSequence));
		commands.forEach((bytes, i) => {
			assert(this.builder.fits(bytes.length));
			this.builder.append(bytes, 0, bytes.length, firstSequence + i, 1);
		});
		const { size } = this.builder;
		this.builder.finish(id, offset, 1234, position);
		return size;
	}

	read(id: number): { first: number; payload: string; durable: number }[] {
		const found: { first: number; payload: string; durable: number }[] = [];
		new SegmentReader(this.disk, '/d').read(id, (group) => {
			const { payloadOffset, payloadSize } = group;
			const payload = Buffer.from(group.bytes.subarray(payloadOffset, payloadOffset + payloadSize)).toString('latin1');
			found.push({ first: group.firstSequence, payload, durable: group.durableSequence });
			assert(group.count === 0 || group.timestampMs === 1234);
		});
		return found;
	}
}

test('groups of any size come back as they were written', () => {
	const prng = new Prng(testSeed('groups'));
	const rig = new Rig('always', [1]);
	const written: string[] = [];
	let offset = 64;
	let sequence = 1;
	for (let i = 0; i < 60; i++) {
		const sizeMax = [8, 100, 3000, 700_000][prng.below(i % 20 === 7 ? 4 : 3)];
		const commands = Array.from({ length: 1 + prng.below(3) }, () =>
			new Uint8Array(1 + prng.below(sizeMax)).fill(65 + (i % 26)),
		);
		let fitting = commands;
		if (sizeMax === 700_000) fitting = [new Uint8Array(2_300_000).fill(66)];
		offset += rig.group(1, offset, sequence, fitting);
		sequence += fitting.length;
		written.push(fitting.map((bytes) => Buffer.from(bytes).toString('latin1')).join(''));
		if (prng.chance(0.4)) rig.executor.commit();
	}
	rig.executor.commit();
	const found = rig.read(1);
	assert.deepEqual(
		found.map(({ payload }) => payload),
		written,
	);
	assert.equal(new Set(found.map(({ first }) => first)).size, written.length);
});

test('one batch is one write and one sync; a group says what was durable before its batch', () => {
	const rig = new Rig('always', [1]);
	const command = new Uint8Array(8).fill(65);
	let offset = 64;
	for (const sequence of [1, 2, 3]) offset += rig.group(1, offset, sequence, [command], sequence * 10);
	assert.equal(rig.disk.position, 0, 'nothing is written before the batch ends');
	rig.executor.commit();
	assert.equal(rig.disk.position, 2);
	assert.deepEqual(rig.events, ['reached 3', 'publish 30']);
	rig.group(1, offset, 4, [command], 40);
	rig.executor.commit();
	assert.deepEqual(
		rig.read(1).map(({ durable }) => durable),
		[0, 0, 0, 3],
	);
});

test("with 'interval' a group claims to be durable what a sync made durable, and that is there", () => {
	const rig = new Rig('interval', [1]);
	const command = new Uint8Array(8).fill(65);
	let offset = 64 + rig.group(1, 64, 1, [command], 10);
	rig.executor.commit();
	assert.deepEqual(rig.events, ['reached 1', 'publish 10']);
	assert(rig.executor.isDirty);
	offset += rig.group(1, offset, 2, [command], 20);
	rig.executor.sync();
	const certain = rig.disk.position;
	offset += rig.group(1, offset, 3, [command], 30);
	rig.executor.commit();
	rig.group(1, offset, 4, [command], 40);
	rig.executor.commit();
	assert.deepEqual(
		rig.read(1).map(({ durable }) => durable),
		[0, 0, 2, 2],
	);
	for (const crashed of rig.disk.enumerateCrashes(certain, { prng: new Prng(1) })) {
		let count = 0;
		new SegmentReader(crashed, '/d').read(1, () => count++);
		assert.equal(count, 2, crashed.origin());
	}
});

test('a segment is synced before the next one is written, and an edit after the groups before it', () => {
	const rig = new Rig('none', [1, 2]);
	const command = new Uint8Array(8).fill(65);
	rig.disk.writeFile('/d/MANIFEST-000007', new Uint8Array(16));
	rig.disk.settle();
	rig.group(1, 64, 1, [command], 10);
	rig.group(2, 64, 2, [command], 20);
	assert(maybePutEdit(rig.queue, Buffer.from('record'), 7, 16, 30));
	assert.deepEqual(rig.events, ['reached 2', 'publish 30', 'edited']);
	// Write 1, sync 1, write 2, write of the edit, its sync.
	assert.equal(rig.disk.position, 5);
	const prng = new Prng(1);
	for (const crashed of rig.disk.enumerateCrashes(5, { prng })) {
		assert.equal(Buffer.from(crashed.readFile('/d/MANIFEST-000007')).toString('latin1', 16), 'record');
		assert.equal(crashed.readFile('/d/00000001.wal')[64 + groupHeaderSize], 65);
	}
});

test('a stop seals the segment; markers only publish', () => {
	const rig = new Rig('interval', [1]);
	assert(maybePutSignal(rig.queue, logMarker, 5));
	rig.executor.commit();
	assert.deepEqual(rig.events, ['publish 5']);
	rig.group(1, 64, 1, [new Uint8Array(8).fill(65)], 10);
	assert(maybePutSignal(rig.queue, logStop, 11));
	assert(rig.executor.isStopped);
	assert.deepEqual(rig.events, ['publish 5', 'reached 1', 'publish 11']);
	assert.deepEqual(rig.read(1).at(-1), { first: 2, payload: '', durable: 1 });
	assert.throws(() => maybePutSignal(rig.queue, logMarker, 12), /before the stop/);
});

test('positions of channels are published with what came before them; a sync comes before all that is published after it', () => {
	const rig = new Rig('none', [1]);
	const command = new Uint8Array(8).fill(65);
	const size = rig.group(1, 64, 1, [command], 10);
	assert(maybePutChannel(rig.queue, logPublish, 11, 5, 100));
	assert(maybePutChannel(rig.queue, logPublish, 11, 6, 200));
	assert.deepEqual(rig.events, [], 'nothing before the commit');
	rig.executor.commit();
	assert.deepEqual(rig.events.splice(0), ['reached 1', 'publish 11', 'publish 5: 100', 'publish 6: 200']);
	assert.deepEqual([rig.disk.position, rig.executor.isDirty], [1, true]);
	assert(maybePutChannel(rig.queue, logPublish, 11, 5, 110));
	assert(maybePutChannel(rig.queue, logForget, 11, 5, 0));
	rig.group(1, 64 + size, 2, [command], 11);
	assert(maybePutSignal(rig.queue, logSync, 20));
	assert(maybePutChannel(rig.queue, logPublish, 20, 6, 210));
	rig.executor.commit();
	assert.deepEqual(rig.events.splice(0), ['forget 5', 'reached 2', 'publish 20', 'publish 6: 210']);
	assert.deepEqual([rig.disk.position, rig.executor.isDirty], [3, false], 'a write and a sync');
	assert(maybePutSignal(rig.queue, logMarker, 21));
	rig.executor.commit();
	assert.equal(rig.disk.position, 3, 'one sync for each that was asked for');
});

test('messages that cannot be are programming errors', () => {
	const command = new Uint8Array(8);
	const torn = new Rig('always', [1]);
	const end = 64 + torn.group(1, 64, 1, [command]);
	assert.throws(() => torn.group(1, end + 8, 2, [command]), /segment ends at/);
	const rig = new Rig('always', [1, 2]);
	const offset = 64 + rig.group(1, 64, 1, [command]);
	const unknown = new Uint8Array(8);
	writeU32(unknown, logKindOffset, 9);
	assert.throws(() => rig.executor.accept(unknown, 0, 8), /kind 9/);
	rig.group(2, 64, 2, [command]);
	assert.throws(() => rig.group(1, offset, 3, [command]), /segment 1 after 2/);
});

test('groups of an earlier life of a recycled file do not count', () => {
	const rig = new Rig('always', [1]);
	let offset = 64;
	for (let i = 1; i <= 5; i++) offset += rig.group(1, offset, i, [new Uint8Array(8).fill(65)]);
	rig.executor.commit();
	assert.equal(rig.read(1).length, 5);
	prepareSegment(rig.disk, '/d', 9, 4096, 1);
	const reader = new SegmentReader(rig.disk, '/d');
	const end = reader.read(9, () => assert.fail('a group'));
	assert.deepEqual(end, { isBlank: true, isOlder: false, size: 4096, offset: 64, provenSequence: 0 });
	assert(!reader.holdsGroups(9));
	assert(!rig.disk.exists('/d/00000001.wal'));
});
