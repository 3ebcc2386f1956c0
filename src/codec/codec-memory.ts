/**
 * A linear memory with LZ4 and XXH3 inside it (src/codec/wasm). Work is done in place, by addresses: a block is read from
 * its file straight to `input`, checked there, and decompressed to where it is wanted, without a copy or an object.
 *
 *   0            heapBase        input                 output                tail
 *   | the module | header room | area + slack        | area + slack        | what the owner wants: the slab of a cache |
 *
 * Addresses are offsets into `bytes`, which never moves: the memory does not grow. Pages that nobody touches take no
 * memory. Not shared: a memory belongs to one thread, and what lies in `input` and `output` to whoever called last.
 */
import { assert } from '../base/assert.js';
import { codecAreaSize, codecTailSizeMax } from '../base/limits.js';
import { wasmModule } from './wasm-module.js';

interface ModuleExports {
	readonly heapBase: { readonly value: number };
	decompress(source: number, size: number, target: number, targetSize: number): number;
	compress(source: number, size: number, target: number, targetSize: number): number;
	checksumMatches(offset: number, size: number, expected: number): number;
	writeChecksum(offset: number, size: number, target: number): void;
}

/** The part of the WebAssembly interface used here: the types of Node 20 do not have it. */
declare const WebAssembly: {
	Memory: new (descriptor: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
	Module: new (bytes: Uint8Array) => object;
	Instance: new (module: object, imports: { env: { memory: object } }) => { readonly exports: ModuleExports };
};

const pageSize = 65_536;
/** Room before and behind an area: for the header of a block, and for its compressed form when that is a little longer. */
const headerRoom = 64;
const areaSlack = 4096;

/** Checksums of no more bytes than this have rules of their own, which the module leaves to the addon (checksum.ts). */
export const shortChecksumSizeMax = 240;

let compiled: object | undefined;
let ofThread: CodecMemory | undefined;

export class CodecMemory {
	readonly bytes: Uint8Array;
	/** For blocks as they are stored: `codecAreaSize` bytes and a header, with `headerRoom` bytes before it. */
	readonly input: number;
	/** For blocks decompressed or compressed: `codecAreaSize` bytes and a header. */
	readonly output: number;
	/** Where the owner's own bytes start. */
	readonly tail: number;
	readonly #exports: ModuleExports;

	/** @param tailSize bytes wanted behind the areas */
	constructor(tailSize: number) {
		assert(tailSize >= 0 && tailSize <= codecTailSizeMax, `a tail of ${tailSize} bytes`);
		const areaSpan = headerRoom + codecAreaSize + areaSlack;
		// The module itself takes far less than a page.
		const pageCount = Math.ceil((pageSize + 2 * areaSpan + tailSize) / pageSize);
		const memory = new WebAssembly.Memory({ initial: pageCount, maximum: pageCount });
		compiled ??= new WebAssembly.Module(Buffer.from(wasmModule, 'base64'));
		this.#exports = new WebAssembly.Instance(compiled, { env: { memory } }).exports;
		assert(this.#exports.heapBase.value <= pageSize, 'the module leaves the rest to us');
		this.bytes = new Uint8Array(memory.buffer);
		this.input = pageSize + headerRoom;
		this.output = this.input + areaSpan;
		this.tail = pageSize + 2 * areaSpan;
	}

	/** The memory of this thread for all who need no tail. */
	static get ofThread(): CodecMemory {
		ofThread ??= new CodecMemory(0);
		return ofThread;
	}

	/** @returns false when the LZ4 block at `source` is malformed or does not decompress to exactly `targetSize` bytes */
	decompress(source: number, size: number, target: number, targetSize: number): boolean {
		this.#check(source, size);
		this.#check(target, targetSize);
		return this.#exports.decompress(source, size, target, targetSize) !== 0;
	}

	/**
	 * Makes an LZ4 block of the bytes at `source`.
	 * @returns bytes written at `target`; 0 when they would be more than `targetSize`
	 */
	compress(source: number, size: number, target: number, targetSize: number): number {
		this.#check(source, size);
		this.#check(target, targetSize);
		return this.#exports.compress(source, size, target, targetSize);
	}

	/** True when the eight bytes at `expected` are the checksum of those at `offset`. @param size > `shortChecksumSizeMax` */
	checksumMatches(offset: number, size: number, expected: number): boolean {
		this.#check(offset, size);
		assert(size > shortChecksumSizeMax, 'short checksums are left to the addon');
		return this.#exports.checksumMatches(offset, size, expected) !== 0;
	}

	/** Writes the checksum of the bytes at `offset` to `target`. @param size > `shortChecksumSizeMax` */
	writeChecksum(offset: number, size: number, target: number): void {
		this.#check(offset, size);
		assert(size > shortChecksumSizeMax, 'short checksums are left to the addon');
		this.#exports.writeChecksum(offset, size, target);
	}

	/** The module trusts its arguments and could overwrite itself. */
	#check(offset: number, size: number): void {
		assert(offset >= pageSize && size >= 0 && offset + size <= this.bytes.length, 'a range outside of the areas');
	}
}
