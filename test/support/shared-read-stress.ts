/**
 * What the writer and the readers of a stress test agree on (test/unit/storage/shared-reads-stress.test.ts), in shared memory.
 *
 * Every operation on a key has a number, one more than the one before. The writer notes what operation n leaves of the key before
 * it begins, counts it as begun, carries it out, and counts it as acknowledged when it is durable. A reader loads what was
 * acknowledged, reads, and loads what was begun: the answer must be what one of the operations between the two left, and for one
 * reader never an older one than before.
 *
 *   value   key number, operation, expiry, checksum, then as many bytes as the operation says, all of the same made-up kind
 */
import { xxh32 } from '../../src/base/xxh32.js';

/** Operations on one key that are remembered. A reader that was away for longer cannot tell, and does not. */
export const historyCount = 4096;
/** What an operation left: nothing, a value, or (from here on) a value until this time, relative to the start. */
export const leftNothing = 0;
export const leftValue = 1;
export const leftUntilMin = 2;
const headerSize = 16;

export class StressBoard {
	readonly memory: SharedArrayBuffer;
	readonly keyCount: number;
	/** By key. */
	readonly begun: Int32Array;
	readonly acknowledged: Int32Array;
	/** By key and operation. */
	readonly left: Int32Array;
	/**
	 * 0: readers stop | 1: readers that have begun | 2: even while there is a snapshot, another number for each | 3: its sequence.
	 */
	readonly state: Int32Array;
	/** By key: the operation the snapshot sees. */
	readonly seen: Int32Array;

	constructor(keyCount: number, memory?: SharedArrayBuffer) {
		this.keyCount = keyCount;
		this.memory = memory ?? new SharedArrayBuffer((keyCount * (3 + historyCount) + 16) * 4);
		this.state = new Int32Array(this.memory, 0, 16);
		this.begun = new Int32Array(this.memory, 64, keyCount);
		this.acknowledged = new Int32Array(this.memory, 64 + keyCount * 4, keyCount);
		this.seen = new Int32Array(this.memory, 64 + keyCount * 8, keyCount);
		this.left = new Int32Array(this.memory, 64 + keyCount * 12, keyCount * historyCount);
	}

	leftBy(key: number, operation: number): number {
		return Atomics.load(this.left, key * historyCount + (operation % historyCount));
	}

	/** The writer is about to carry out the next operation of a key. @returns its number */
	begin(key: number, left: number): number {
		const operation = this.begun[key] + 1;
		Atomics.store(this.left, key * historyCount + (operation % historyCount), left);
		Atomics.store(this.begun, key, operation);
		return operation;
	}
}

export function stressKey(key: number): string {
	return `key${String(key).padStart(4, '0')}`;
}

export function stressValue(key: number, operation: number, left: number, size: number): Buffer {
	const value = Buffer.alloc(headerSize + size, (key * 31 + operation) & 0xff);
	value.writeUInt32LE(key, 0);
	value.writeInt32LE(operation, 4);
	value.writeInt32LE(left, 8);
	value.writeUInt32LE(checksumOf(value), 12);
	return value;
}

/** @returns the operation that wrote it @throws when the value is torn, or another key's */
export function checkStressValue(value: Uint8Array, key: number): number {
	const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
	if (bytes.length < headerSize) throw new Error(`key ${key}: a value of ${bytes.length} bytes`);
	if (bytes.readUInt32LE(12) !== checksumOf(bytes)) throw new Error(`key ${key}: a torn value`);
	if (bytes.readUInt32LE(0) !== key) throw new Error(`key ${key}: a value of key ${bytes.readUInt32LE(0)}`);
	return bytes.readInt32LE(4);
}

function checksumOf(value: Buffer): number {
	return (xxh32(value, 0, 12, 1) ^ xxh32(value, headerSize, value.length - headerSize, 2)) >>> 0;
}
