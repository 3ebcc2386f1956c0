/**
 * Why a log failed, left by the log thread in the shared words for the partition's thread (worker-boot.ts has the layout).
 * The status is stored last: whoever sees it finds the text complete.
 */
import { readU32, writeU32 } from '../base/bytes.js';
import { codeOf, type ErrorCode, MillraceError, statusOf } from '../base/errors.js';
import { sharedPoisonTextOffset, sharedPoisonTextSizeWord, sharedPoisonWord, sharedSize } from './worker-boot.js';

/** Log thread, once. */
export function writePoison(shared: SharedArrayBuffer, code: ErrorCode, message: string): void {
	const text = Buffer.from(message, 'utf8');
	const size = Math.min(text.length, sharedSize - sharedPoisonTextOffset);
	const bytes = new Uint8Array(shared);
	bytes.set(text.subarray(0, size), sharedPoisonTextOffset);
	writeU32(bytes, sharedPoisonTextSizeWord * 4, size);
	Atomics.store(new Int32Array(shared), sharedPoisonWord, statusOf(code));
}

/** The error that was left. Only after the poison word was seen. */
export function readPoison(shared: SharedArrayBuffer): MillraceError {
	const bytes = new Uint8Array(shared);
	const size = readU32(bytes, sharedPoisonTextSizeWord * 4);
	const text = Buffer.from(bytes.subarray(sharedPoisonTextOffset, sharedPoisonTextOffset + size)).toString('utf8');
	return new MillraceError(codeOf(Atomics.load(new Int32Array(shared), sharedPoisonWord)), text);
}
