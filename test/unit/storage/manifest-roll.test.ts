/** The manifest rolls on while running: crashed everywhere, on a full disk, and with every byte of it changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../src/base/errors.js';
import { Prng } from '../../../src/base/prng.js';
import type { LogQueue } from '../../../src/storage/lsm/log-queue.js';
import type { ManifestEdit, ManifestState } from '../../../src/storage/lsm/manifest/manifest-edit.js';
import { manifestFileName } from '../../../src/storage/lsm/manifest/manifest-format.js';
import { ManifestStore } from '../../../src/storage/lsm/manifest/manifest-store.js';
import { prepareManifest } from '../../../src/storage/lsm/manifest/prepare-manifest.js';
import { maybePutEdit } from '../../../src/storage/lsm/wal/group-builder.js';
import { LogExecutor } from '../../../src/storage/lsm/wal/log-executor.js';
import { maybePutRoll } from '../../../src/storage/lsm/wal/put-roll.js';
import { testSeed } from '../../support/seed.js';
import { SimulatedDisk } from '../../support/simulated-disk.js';

/** Carries each message out at once. */
class DirectQueue implements LogQueue {
	target = new Uint8Array(1 << 20);
	readonly #executor: LogExecutor;
	#size = 0;

	constructor(executor: LogExecutor) {
		this.#executor = executor;
	}

	reserve(size: number): number {
		this.#size = size;
		return 8;
	}

	commit(size = this.#size): void {
		this.#executor.accept(this.target, 8, size);
	}

	publish(): void {}
}

const listener = {
	publish: () => undefined,
	reached: () => undefined,
	edited: () => undefined,
	forget: () => undefined,
};

/** A manifest on a disk, with all that writes it. */
class Rig {
	readonly disk: SimulatedDisk;
	readonly store: ManifestStore;
	readonly #queue: DirectQueue;
	/** The state after each edit, and the journal position from which on it is durable. */
	readonly history: { state: string; position: number }[] = [];
	rollCount = 0;

	constructor(editCountMax: number, disk = new SimulatedDisk({ directories: ['/d'] })) {
		this.disk = disk;
		this.store = ManifestStore.open(disk, '/d', { editCountMax });
		this.#queue = new DirectQueue(new LogExecutor(disk, '/d', 'always', listener));
		this.store.writeFresh();
		this.#note();
	}

	prepare(): void {
		const order = this.store.orderSuccessor();
		if (order === undefined) return;
		prepareManifest(this.disk, '/d', order.number, order.size);
		this.store.onSuccessorReady(order.size);
	}

	put(edit: ManifestEdit): void {
		if (this.store.mustRoll) {
			const old = this.store.number;
			maybePutRoll(this.#queue, this.store.roll(), this.store.number, 0);
			this.disk.remove(`/d/${manifestFileName(old)}`);
			this.rollCount++;
		}
		const { record, offset } = this.store.append(edit);
		maybePutEdit(this.#queue, record, this.store.number, offset, 0);
		this.#note();
	}

	#note(): void {
		this.history.push({ state: textOf(this.store.state), position: this.disk.position });
	}
}

/** Without nextFileId, which every opening raises. */
function textOf({ segments, tables, flushedSequence }: ManifestState): string {
	const rows = [...tables.values()].map(({ id, level, size }) => [id, level, size]);
	return JSON.stringify([[...segments].sort(), rows.sort(([a], [b]) => a - b), flushedSequence]);
}

function addTable(rig: Rig, sequence: number): void {
	const id = rig.store.takeFileIds(1);
	const oldest = [...rig.store.state.tables.keys()][0];
	const removeTables = rig.store.state.tables.size > 4 ? [oldest] : [];
	rig.put({ addTables: [{ id, level: sequence % 7, size: 100 + sequence }], removeTables, flushedSequence: sequence });
}

test('crashed at every moment, an opening finds every edit that was durable, and no half of one', () => {
	const prng = new Prng(testSeed('manifest-roll'));
	const rig = new Rig(3);
	for (let i = 1; i <= 14; i++) {
		if (i % 2 === 0) rig.prepare();
		addTable(rig, i);
	}
	assert(rig.rollCount >= 3, `${rig.rollCount} rolls`);
	let count = 0;
	for (let position = rig.history[0].position; position <= rig.disk.position; position++) {
		const durable = rig.history.filter((entry) => entry.position <= position).length;
		for (const crashed of rig.disk.enumerateCrashes(position, { limit: 40, prng })) {
			const again = new Rig(3, crashed);
			const found = rig.history.findIndex((entry) => entry.state === textOf(again.store.state));
			assert(found >= durable - 1, `edit ${found} found, ${durable - 1} durable; ${crashed.origin()}`);
			assert(again.store.takeFileIds(1) > Math.max(0, ...again.store.state.tables.keys()), 'ids are new');
			again.prepare();
			for (let i = 0; i < 4; i++) addTable(again, 100 + i);
			again.disk.settle();
			assert.equal(textOf(ManifestStore.open(crashed, '/d').state), textOf(again.store.state));
			count++;
		}
	}
	assert(count > 200, `${count} crash states`);
});

test('a full disk stops neither edits within the reserve nor the roll, and nothing begins when both run out', () => {
	const rig = new Rig(1000);
	rig.disk.capacityBytes = rig.disk.usedBytes();
	assert.throws(() => rig.prepare(), { code: 'ENOSPC' });
	assert.deepEqual(Object.keys(rig.disk.snapshot()).sort(), ['/d/CURRENT', `/d/${manifestFileName(1)}`]);
	let sequence = 0;
	while (!rig.store.isStuck) addTable(rig, ++sequence);
	assert(sequence > 300, `${sequence} edits`);
	// What was under way when it got stuck still finds room.
	const ids = Array.from({ length: 40 }, () => ({ id: rig.store.takeFileIds(1), level: 1, size: 7 }));
	rig.put({ addTables: ids });
	rig.disk.capacityBytes += 2 << 20;
	rig.prepare();
	rig.disk.capacityBytes = rig.disk.usedBytes();
	assert(!rig.store.isStuck);
	for (let i = 0; i < 100; i++) addTable(rig, ++sequence);
	assert.equal(rig.rollCount, 1);
	assert.equal(textOf(ManifestStore.open(rig.disk, '/d').state), textOf(rig.store.state));
});

test('a successor that the partition outgrew is made anew, larger', () => {
	const rig = new Rig(2);
	rig.prepare();
	const before = rig.store.sizeOnDisk;
	const id = rig.store.takeFileIds(3000);
	rig.put({ addTables: Array.from({ length: 3000 }, (_, i) => ({ id: id + i, level: 2, size: 5 })) });
	for (let i = 1; i < 4; i++) addTable(rig, i);
	assert.equal(rig.rollCount, 0, 'the state would not fit');
	rig.prepare();
	assert(rig.store.sizeOnDisk > before);
	addTable(rig, 4);
	assert.equal(rig.rollCount, 1);
	assert.equal(textOf(ManifestStore.open(rig.disk, '/d').state), textOf(rig.store.state));
});

test('file ids are promised on the disk before they are used, also after thousands', () => {
	const rig = new Rig(50);
	for (let i = 1; i <= 40; i++) {
		rig.prepare();
		for (let taken = 0; taken < 1000; taken += 10) rig.store.takeFileIds(10);
		addTable(rig, i);
		const promised = ManifestStore.open(rig.disk, '/d').state.nextFileId;
		assert(promised > rig.store.takeFileIds(1), 'the next id is below what the disk promises');
	}
});

test('every byte changed: an older state by the last edit at most, or refused', () => {
	const rig = new Rig(3);
	for (let i = 1; i <= 9; i++) {
		rig.prepare();
		addTable(rig, i);
	}
	rig.disk.settle();
	const states = rig.history.map(({ state }) => state);
	const prng = new Prng(1);
	let refusedCount = 0;
	for (const path of [`/d/${manifestFileName(rig.store.number)}`, '/d/CURRENT']) {
		const bytes = rig.disk.readFile(path);
		const end = Math.min(bytes.length, 1024);
		for (let offset = 0; offset < end; offset++) {
			const damaged = rig.disk.crashAt(0, prng);
			damaged.flipBit(path, offset, offset % 8);
			try {
				const found = states.lastIndexOf(textOf(ManifestStore.open(damaged, '/d').state));
				assert(found >= states.length - 2, `${path} at ${offset}: edit ${found} of ${states.length - 1}`);
			} catch (error) {
				assert(hasCode(error, 'MILLRACE_CORRUPT'), `${path} at ${offset}: ${String(error)}`);
				refusedCount++;
			}
		}
	}
	assert(refusedCount > 100, `${refusedCount} refused`);
});
