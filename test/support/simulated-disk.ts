/**
 * A file system in memory that can lose power at any moment, fail by plan and fill up: the tests' `FileSystem`.
 *
 *   calls ──> faults? ──> live image (what reads see)
 *                    └──> journal  ──> crashAt / enumerateCrashes ──> fresh disks, whose contents are all durable
 *
 * The rules of what a crash may leave are in simulated-crash.ts. How to use it: run a protocol, note
 * `disk.position` at each acknowledgement, then for every position make crashes, reopen on them, and check that what
 * was acknowledged by then is there. Everything follows from the seeds given. Single thread; buffers given in are copied.
 * Not modelled, and refused: renames from one directory to another, renamed directories.
 */
import { posix } from 'node:path';
import { assert } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import type { FileHandle, FileLock, FileSystem, OpenMode } from '../../src/env/ports.js';
import { DurabilityModel, enumerateFates, isTearable, type JournalRecord, randomFates } from './simulated-crash.js';
import { type Fault, type FaultOperation, FaultPlan } from './simulated-faults.js';
import { DiskImage, FileContent, type FileNode, systemError } from './simulated-image.js';

export interface SimulatedDiskOptions {
	/** That exist, durably, from the start. */
	readonly directories?: readonly string[];
	/** Of all files together; default unbounded. */
	readonly capacityBytes?: number;
}

export interface CrashOptions {
	/** How many crash states at most; default 256. */
	readonly limit?: number;
	readonly prng: Prng;
}

export class SimulatedDisk implements FileSystem {
	/** Bytes all files together may hold. May be changed at any time, also to below what is used. */
	capacityBytes: number;
	/** How this disk came out of a crash: which changes were kept. For the message of a failing test. */
	readonly origin: () => string;
	#start: DiskImage;
	#live: DiskImage;
	#journal: JournalRecord[] = [];
	#model: DurabilityModel | undefined;
	#faults = new FaultPlan();
	#ownerByLock = new Map<string, string>();
	#nextNode: number;

	constructor(options: SimulatedDiskOptions = {}, start = new DiskImage(), origin = () => 'a new disk') {
		this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
		this.origin = origin;
		this.#start = start;
		this.#live = start.clone();
		this.#nextNode = Math.max(...start.nodes.keys()) + 1;
		for (const directory of options.directories ?? []) this.makeDirectory(directory);
		if (this.#journal.length > 0) this.settle();
	}

	// --- the port ---------------------------------------------------------------------------------

	open(path: string, mode: OpenMode): FileHandle {
		this.#failIfPlanned('open', path);
		const place = this.#live.place(path, 'open');
		if (mode !== 'create') {
			if (place.node === undefined) throw systemError('ENOENT', 'open', path);
			if (this.#live.nodes.get(place.node)?.kind !== 'file') throw systemError('EISDIR', 'open', path);
			return new SimulatedFile(this, path, place.node, this.#live.file(place.node), mode !== 'read');
		}
		if (place.node !== undefined) throw systemError('EEXIST', 'open', path);
		const node = this.#nextNode++;
		const file: FileNode = { kind: 'file', content: new FileContent() };
		this.#live.nodes.set(node, file);
		this.#live.directory(place.parent).entries.set(place.name, node);
		this.#journal.push({ kind: 'create', node, path: place.path, parent: place.parent, name: place.name });
		return new SimulatedFile(this, path, node, file, true);
	}

	exists(path: string): boolean {
		return this.#live.find(path) !== undefined;
	}

	list(directory: string): string[] {
		const node = this.#live.find(directory);
		if (node === undefined) throw systemError('ENOENT', 'scandir', directory);
		if (this.#live.nodes.get(node)?.kind !== 'directory') throw systemError('ENOTDIR', 'scandir', directory);
		return [...this.#live.directory(node).entries.keys()];
	}

	makeDirectory(path: string): void {
		this.#failIfPlanned('makeDirectory', path);
		const absolute = posix.resolve('/', path);
		const found = this.#live.find(absolute);
		if (found !== undefined && this.#live.nodes.get(found)?.kind === 'directory') return;
		if (found !== undefined) throw systemError('EEXIST', 'mkdir', path);
		if (this.#live.find(posix.dirname(absolute)) === undefined) this.makeDirectory(posix.dirname(absolute));
		const place = this.#live.place(absolute, 'mkdir');
		const node = this.#nextNode++;
		this.#live.nodes.set(node, { kind: 'directory', entries: new Map() });
		this.#live.directory(place.parent).entries.set(place.name, node);
		this.#journal.push({
			kind: 'makeDirectory',
			node,
			path: absolute,
			parent: place.parent,
			name: place.name,
		});
	}

	rename(source: string, target: string): void {
		this.#failIfPlanned('rename', source);
		const from = this.#live.place(source, 'rename');
		const to = this.#live.place(target, 'rename');
		if (from.node === undefined) throw systemError('ENOENT', 'rename', source);
		assert(from.parent === to.parent, `rename of ${source} to another directory is not simulated`);
		this.#live.file(from.node);
		if (to.node !== undefined) this.#live.file(to.node);
		if (from.node === to.node) return;
		const { entries } = this.#live.directory(from.parent);
		entries.delete(from.name);
		entries.set(to.name, from.node);
		const { node, path, parent, name } = { ...from, node: from.node };
		this.#journal.push({ kind: 'rename', node, path, parent, name, target: to.name });
	}

	link(source: string, target: string): void {
		this.#failIfPlanned('link', source);
		const from = this.#live.place(source, 'link');
		const to = this.#live.place(target, 'link');
		if (from.node === undefined) throw systemError('ENOENT', 'link', source);
		if (this.#live.nodes.get(from.node)?.kind !== 'file') throw systemError('EPERM', 'link', source);
		if (to.node !== undefined) throw systemError('EEXIST', 'link', target);
		this.#live.directory(to.parent).entries.set(to.name, from.node);
		this.#journal.push({ kind: 'link', node: from.node, path: to.path, parent: to.parent, name: to.name });
	}

	remove(path: string): void {
		this.#failIfPlanned('remove', path);
		const place = this.#live.place(path, 'unlink');
		if (place.node === undefined) throw systemError('ENOENT', 'unlink', path);
		if (this.#live.nodes.get(place.node)?.kind !== 'file') throw systemError('EISDIR', 'unlink', path);
		this.#live.directory(place.parent).entries.delete(place.name);
		const { name, parent, node } = { ...place, node: place.node };
		this.#journal.push({ kind: 'remove', node, path: place.path, parent, name });
	}

	removeDirectory(path: string): void {
		this.#failIfPlanned('remove', path);
		const place = this.#live.place(path, 'rmdir');
		if (place.node === undefined) throw systemError('ENOENT', 'rmdir', path);
		if (this.#live.directory(place.node).entries.size > 0) throw systemError('ENOTEMPTY', 'rmdir', path);
		this.#live.directory(place.parent).entries.delete(place.name);
		const { name, parent, node } = { ...place, node: place.node };
		this.#journal.push({ kind: 'remove', node, path: place.path, parent, name });
	}

	freeBytes(): number {
		return this.roomFor(Number.MAX_SAFE_INTEGER);
	}

	syncDirectory(path: string): void {
		const node = this.#live.find(path);
		if (node === undefined) throw systemError('ENOENT', 'open', path);
		this.#live.directory(node);
		const fault = this.#faults.take('syncDirectory', path);
		this.#journal.push({ kind: 'sync', node, path, isFailed: fault !== undefined });
		if (fault) throw systemError(fault.error, 'fsync', path);
	}

	/** Excludes within this object only: a disk that came out of a crash has no locks. */
	lock(path: string, owner: string): FileLock | string {
		const absolute = posix.resolve('/', path);
		const presentOwner = this.#ownerByLock.get(absolute);
		if (presentOwner !== undefined) return presentOwner;
		const file = this.open(path, this.exists(path) ? 'write' : 'create');
		const text = new TextEncoder().encode(owner);
		file.truncate(0);
		file.write(text, 0, text.length, 0);
		file.close();
		this.#ownerByLock.set(absolute, owner);
		return { release: () => void this.#ownerByLock.delete(absolute) };
	}

	lockShared(path: string): FileLock | string {
		const presentOwner = this.#ownerByLock.get(posix.resolve('/', path));
		if (presentOwner === undefined) this.open(path, 'read').close();
		return presentOwner ?? { release: () => undefined };
	}

	// --- crashes ----------------------------------------------------------------------------------

	/** Changes and syncs so far: what names a moment for the two methods below. */
	get position(): number {
		return this.#journal.length;
	}

	/** One random legal disk after a crash when the journal had `position` entries. */
	crashAt(position: number, prng: Prng): SimulatedDisk {
		const model = this.#modelAt(position);
		return this.#crashed(model, randomFates(model.undecided().length, prng), prng);
	}

	/** Legal disks after a crash at `position`: all combinations when they are few, else a sample by seed. */
	*enumerateCrashes(position: number, options: CrashOptions): Generator<SimulatedDisk> {
		const tearable = this.#modelAt(position)
			.undecided()
			.map((item) => isTearable(item.change));
		for (const fates of enumerateFates(tearable, options.limit ?? 256, options.prng)) {
			yield this.#crashed(this.#modelAt(position), fates, options.prng);
		}
	}

	/** Makes everything durable and forgets the journal, as an orderly shutdown of the machine does. */
	settle(): void {
		this.#start = this.#live.clone();
		this.#journal = [];
		this.#model = undefined;
	}

	// --- faults -----------------------------------------------------------------------------------

	/** Plans a failure. See `Fault`. */
	failNext(fault: Fault): void {
		this.#faults.add(fault);
	}

	clearFaults(): void {
		this.#faults.clear();
	}

	/** Silent corruption: flips one bit of what is stored, now and after any crash. */
	flipBit(path: string, offset: number, bit: number): void {
		const { node, content } = this.#mustFind(path);
		assert(offset < content.size && bit >= 0 && bit < 8, `no bit ${bit} at ${offset} of ${content.size} B`);
		content.flipBit(offset, bit);
		this.#journal.push({ kind: 'flip', node, path, offset, bit });
	}

	// --- for tests --------------------------------------------------------------------------------

	/** Bytes of each file by absolute path, in the order of paths. */
	snapshot(): Record<string, number> {
		const sizes: [string, number][] = [];
		this.#live.eachFile((path, content) => sizes.push([path, content.size]));
		return Object.fromEntries(sizes.sort(([a], [b]) => (a < b ? -1 : 1)));
	}

	/** See DiskImage.usedBytes. */
	usedBytes(): number {
		return this.#live.usedBytes();
	}

	/** A copy of a file's bytes. */
	readFile(path: string): Uint8Array {
		return this.#mustFind(path).content.toBytes();
	}

	/** Puts a file in place with its directories, all durable at once, whatever faults are planned. */
	writeFile(path: string, bytes: Uint8Array): void {
		const faults = this.#faults;
		this.#faults = new FaultPlan();
		this.makeDirectory(posix.dirname(posix.resolve('/', path)));
		const file = this.open(path, this.exists(path) ? 'write' : 'create');
		file.truncate(0);
		file.write(bytes, 0, bytes.length, 0);
		file.sync();
		file.close();
		for (let directory = posix.resolve('/', path); directory !== '/'; ) {
			directory = posix.dirname(directory);
			this.syncDirectory(directory);
		}
		this.#faults = faults;
	}

	// --- for SimulatedFile ------------------------------------------------------------------------

	/** @internal */
	fileFault(operation: FaultOperation, path: string): Fault | undefined {
		return this.#faults.take(operation, path);
	}

	/** @internal */
	append(record: JournalRecord): void {
		this.#journal.push(record);
	}

	/** @internal How many of `size` more bytes there is room for. */
	roomFor(size: number): number {
		if (this.capacityBytes === Number.POSITIVE_INFINITY) return size;
		return Math.max(0, Math.min(size, this.capacityBytes - this.usedBytes()));
	}

	#mustFind(path: string): { node: number; content: FileContent } {
		const node = this.#live.find(path);
		if (node === undefined) throw systemError('ENOENT', 'open', path);
		return { node, content: this.#live.file(node).content };
	}

	#failIfPlanned(operation: FaultOperation, path: string): void {
		const fault = this.#faults.take(operation, path);
		if (fault) throw systemError(fault.error, operation, path);
	}

	/** The model at a position; walking forward through positions costs each journal entry once. */
	#modelAt(position: number): DurabilityModel {
		assert(position >= 0 && position <= this.position, `position ${position} of ${this.position}`);
		if (this.#model === undefined || this.#model.position > position) {
			this.#model = new DurabilityModel(this.#start);
		}
		this.#model.advance(this.#journal, position);
		return this.#model;
	}

	#crashed(model: DurabilityModel, fates: Parameters<DurabilityModel['crash']>[0], prng: Prng): SimulatedDisk {
		const { image, describe } = model.crash(fates, prng);
		return new SimulatedDisk({ capacityBytes: this.capacityBytes }, image, describe);
	}
}

class SimulatedFile implements FileHandle {
	readonly path: string;
	readonly #disk: SimulatedDisk;
	readonly #node: number;
	readonly #content: FileContent;
	readonly #isWritable: boolean;
	#isOpen = true;

	constructor(disk: SimulatedDisk, path: string, node: number, file: FileNode, isWritable: boolean) {
		this.path = path;
		this.#disk = disk;
		this.#node = node;
		this.#content = file.content;
		this.#isWritable = isWritable;
	}

	read(target: Uint8Array, offset: number, size: number, position: number): number {
		this.#check(false, target, offset, size, position);
		this.#failIfPlanned('read');
		return this.#content.read(target, offset, size, position);
	}

	write(source: Uint8Array, offset: number, size: number, position: number): void {
		this.#check(true, source, offset, size, position);
		const fault = this.#disk.fileFault('write', this.path);
		if (fault) {
			this.#put(source, offset, Math.min(size, fault.writtenSize ?? 0), position);
			throw systemError(fault.error, 'write', this.path);
		}
		const growth = Math.max(0, position + size - this.#content.size);
		const room = this.#disk.roomFor(growth);
		this.#put(source, offset, Math.max(0, size - growth + room), position);
		if (room < growth) throw systemError('ENOSPC', 'write', this.path);
	}

	sync(): void {
		assert(this.#isOpen, `${this.path} was closed`);
		const fault = this.#disk.fileFault('sync', this.path);
		this.#disk.append({ kind: 'sync', node: this.#node, path: this.path, isFailed: fault !== undefined });
		if (fault) throw systemError(fault.error, 'fdatasync', this.path);
	}

	size(): number {
		assert(this.#isOpen, `${this.path} was closed`);
		return this.#content.size;
	}

	/** Growing counts against the capacity, as preallocating does. */
	truncate(size: number): void {
		assert(this.#isOpen, `${this.path} was closed`);
		if (!this.#isWritable) throw systemError('EINVAL', 'ftruncate', this.path);
		this.#failIfPlanned('truncate');
		const growth = Math.max(0, size - this.#content.size);
		if (this.#disk.roomFor(growth) < growth) throw systemError('ENOSPC', 'ftruncate', this.path);
		this.#content.truncate(size);
		this.#disk.append({ kind: 'truncate', node: this.#node, path: this.path, size });
	}

	close(): void {
		assert(this.#isOpen, `${this.path} was closed`);
		this.#isOpen = false;
	}

	#put(source: Uint8Array, offset: number, size: number, position: number): void {
		if (size === 0) return;
		// A copy: `slice` of a Buffer would be a view of memory that the caller uses again.
		const bytes = new Uint8Array(source.subarray(offset, offset + size));
		this.#content.write(bytes, position);
		this.#disk.append({ kind: 'write', node: this.#node, path: this.path, position, bytes });
	}

	#failIfPlanned(operation: FaultOperation): void {
		const fault = this.#disk.fileFault(operation, this.path);
		if (fault) throw systemError(fault.error, operation, this.path);
	}

	#check(isWrite: boolean, bytes: Uint8Array, offset: number, size: number, position: number): void {
		assert(this.#isOpen, `${this.path} was closed`);
		assert(
			offset >= 0 && size >= 0 && offset + size <= bytes.length && position >= 0,
			`transfer of ${size} B at ${offset} of a ${bytes.length} B buffer, file position ${position}`,
		);
		if (isWrite && !this.#isWritable) throw systemError('EBADF', 'write', this.path);
	}
}
