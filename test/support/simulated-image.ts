/**
 * What is on a simulated disk at one moment: a tree of directories and files, in memory.
 *
 *   DiskImage   nodes: node number -> FileContent | directory (name -> node number); node 0 is '/'
 *
 * Two of them make a simulated disk: the live one, which calls see, and the durable one, which crashes start from.
 * Copies share the bytes of files until one of them writes (copy on write), so that making thousands of crash
 * states stays cheap. Invariant: bytes of a content behind its size mean nothing and are never shown.
 * Paths are POSIX; relative ones start at '/'.
 */
import { posix } from 'node:path';
import { assert } from '../../src/base/assert.js';

/** An error as Node throws it, by its code. */
export function systemError(code: string, operation: string, path: string): Error {
	return Object.assign(new Error(`${code}: simulated, ${operation} '${path}'`), {
		code,
		syscall: operation,
		path,
	});
}

export class FileContent {
	size = 0;
	#bytes: Uint8Array = new Uint8Array(0);
	#isShared = false;

	clone(): FileContent {
		const copy = new FileContent();
		copy.size = this.size;
		copy.#bytes = this.#bytes;
		copy.#isShared = true;
		this.#isShared = true;
		return copy;
	}

	/** @returns bytes copied, fewer than `size` only at the end */
	read(target: Uint8Array, offset: number, size: number, position: number): number {
		const count = Math.max(0, Math.min(size, this.size - position));
		target.set(this.#bytes.subarray(position, position + count), offset);
		return count;
	}

	/** Writes all of `source` at `position`; a gap before it reads as zeros. */
	write(source: Uint8Array, position: number): void {
		const end = position + source.length;
		this.#reserve(Math.max(end, this.size));
		if (position > this.size) this.#bytes.fill(0, this.size, position);
		this.#bytes.set(source, position);
		this.size = Math.max(this.size, end);
	}

	truncate(size: number): void {
		this.#reserve(size);
		if (size > this.size) this.#bytes.fill(0, this.size, size);
		this.size = size;
	}

	flipBit(offset: number, bit: number): void {
		if (offset >= this.size) return;
		this.#reserve(this.size);
		this.#bytes[offset] = (this.#bytes[offset] as number) ^ (1 << bit);
	}

	/** A copy of the contents. */
	toBytes(): Uint8Array {
		return this.#bytes.slice(0, this.size);
	}

	#reserve(size: number): void {
		if (!this.#isShared && size <= this.#bytes.length) return;
		const isGrowing = size > this.#bytes.length;
		const grown = new Uint8Array(isGrowing ? Math.max(size, this.#bytes.length * 2) : this.#bytes.length);
		grown.set(this.#bytes.subarray(0, this.size));
		this.#bytes = grown;
		this.#isShared = false;
	}
}

export interface FileNode {
	readonly kind: 'file';
	readonly content: FileContent;
}

export interface DirectoryNode {
	readonly kind: 'directory';
	readonly entries: Map<string, number>;
}

export type DiskNode = FileNode | DirectoryNode;

/** Where a path leads: its parent directory, its name there, and the node if there is one. */
export interface Place {
	readonly path: string;
	readonly parent: number;
	readonly name: string;
	readonly node: number | undefined;
}

export const rootNode = 0;

export class DiskImage {
	readonly nodes = new Map<number, DiskNode>([[rootNode, { kind: 'directory', entries: new Map() }]]);

	/** A copy of everything that can be reached from the root; node numbers are kept. */
	clone(): DiskImage {
		const reached = new Set<number>();
		this.reach(rootNode, reached);
		const copy = this.cloneAll();
		for (const number of copy.nodes.keys()) if (!reached.has(number)) copy.nodes.delete(number);
		return copy;
	}

	/** A copy of every node, reachable or not. */
	cloneAll(): DiskImage {
		const copy = new DiskImage();
		for (const [number, node] of this.nodes) {
			if (node.kind === 'file') copy.nodes.set(number, { kind: 'file', content: node.content.clone() });
			else copy.nodes.set(number, { kind: 'directory', entries: new Map(node.entries) });
		}
		return copy;
	}

	/** Adds to `reached` a node and everything below it. */
	reach(node: number, reached: Set<number>): void {
		if (reached.has(node)) return;
		reached.add(node);
		const found = this.nodes.get(node);
		if (found?.kind !== 'directory') return;
		for (const child of found.entries.values()) this.reach(child, reached);
	}

	directory(node: number): DirectoryNode {
		const found = this.nodes.get(node);
		assert(found?.kind === 'directory', `node ${node} is no directory`);
		return found;
	}

	file(node: number): FileNode {
		const found = this.nodes.get(node);
		assert(found?.kind === 'file', `node ${node} is no file`);
		return found;
	}

	/** The node a path leads to, or undefined. */
	find(path: string): number | undefined {
		let node = rootNode;
		for (const name of posix.resolve('/', path).split('/')) {
			if (name === '') continue;
			const directory = this.nodes.get(node);
			const child = directory?.kind === 'directory' ? directory.entries.get(name) : undefined;
			if (child === undefined) return undefined;
			node = child;
		}
		return node;
	}

	/** @throws ENOENT when the parent is missing, ENOTDIR when it is a file */
	place(path: string, operation: string): Place {
		const absolute = posix.resolve('/', path);
		const parent = this.find(posix.dirname(absolute));
		if (parent === undefined) throw systemError('ENOENT', operation, path);
		const directory = this.nodes.get(parent);
		if (directory?.kind !== 'directory') throw systemError('ENOTDIR', operation, path);
		const name = posix.basename(absolute);
		return { path: absolute, parent, name, node: directory.entries.get(name) };
	}

	/** A file with two names counts once; one that is open and has none any more does not count. */
	usedBytes(): number {
		const contents = new Set<FileContent>();
		this.eachFile((_, content) => contents.add(content));
		let size = 0;
		for (const content of contents) size += content.size;
		return size;
	}

	/** Calls back for every file with its absolute path. */
	eachFile(visit: (path: string, content: FileContent) => void, node = rootNode, path = ''): void {
		for (const [name, child] of this.directory(node).entries) {
			const found = this.nodes.get(child);
			if (found?.kind === 'file') visit(`${path}/${name}`, found.content);
			else this.eachFile(visit, child, `${path}/${name}`);
		}
	}
}
