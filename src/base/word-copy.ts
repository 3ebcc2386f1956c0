/**
 * Copies small runs of bytes between long-lived shared arrays (rings, arenas) a word at a time. `TypedArray.set` needs a
 * subarray, an object for each copy: 38 ns for 100 bytes, against 15 ns here (docs/decisions.md, "copies").
 *
 * Arrays are registered once by the thread that uses them. Words need both runs at the same offset within a word; the layouts of
 * commands, entries and replies see to that (their headers are multiples of 4 bytes, and key and value follow each other in
 * both). Anything else, and any array that is not registered, is copied by `copyBytes`.
 */
import { assert } from './assert.js';
import { copyBytes } from './bytes.js';

/** Above this `set` wins: its cost hardly grows with the size. */
const wordCopySizeMax = 512;
/** Arrays registered in a thread for good: the rings of a partition and its arenas. The oldest makes room. */
const registeredCount = 12;
/** Places behind them for arrays that come and go: the rings of eight attached threads. Those of more are copied the slow way. */
const guestCount = 24;

const placeCount = registeredCount + guestCount;
const registeredBytes: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(placeCount).fill(undefined);
const registeredWords: Int32Array[] = new Array<Int32Array>(placeCount).fill(new Int32Array(0));
const noWords = new Int32Array(0);
let nextIndex = 0;
/** No place from here on is taken. */
let endIndex = registeredCount;

/** Makes an array known to `copyShared` in this thread. It starts at a word. */
export function registerShared(bytes: Uint8Array): void {
	put(nextIndex, bytes);
	nextIndex = (nextIndex + 1) % registeredCount;
}

/** The same for an array that `unregisterGuest` will follow, while there are places for such. */
export function maybeRegisterGuest(bytes: Uint8Array): void {
	const index = registeredBytes.indexOf(undefined, registeredCount);
	if (index < 0) return;
	put(index, bytes);
	endIndex = Math.max(endIndex, index + 1);
}

/** Lets go of an array that was registered as a guest, if it was. */
export function unregisterGuest(bytes: Uint8Array): void {
	const index = registeredBytes.indexOf(bytes, registeredCount);
	if (index < 0) return;
	registeredBytes[index] = undefined;
	registeredWords[index] = noWords;
	while (endIndex > registeredCount && registeredBytes[endIndex - 1] === undefined) endIndex--;
}

function put(index: number, bytes: Uint8Array): void {
	assert(bytes.byteOffset % 4 === 0, 'a shared array starts at a word');
	registeredBytes[index] = bytes;
	registeredWords[index] = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}

function wordsOver(bytes: Uint8Array): Int32Array {
	for (let i = 0; i < endIndex; i++) if (registeredBytes[i] === bytes) return registeredWords[i];
	return noWords;
}

/**
 * Copies `size` bytes from one array to another, and perhaps up to 3 bytes beyond: the target's next bytes, up to a whole
 * word, must not be in use yet.
 */
export function copyShared(
	source: Uint8Array,
	sourceOffset: number,
	target: Uint8Array,
	targetOffset: number,
	size: number,
): void {
	if (size > 8 && size <= wordCopySizeMax && ((sourceOffset | targetOffset) & 3) === 0) {
		const from = wordsOver(source);
		const to = wordsOver(target);
		const fromWord = sourceOffset >>> 2;
		const toWord = targetOffset >>> 2;
		const wordCount = (size + 3) >>> 2;
		if (fromWord + wordCount <= from.length && toWord + wordCount <= to.length) {
			for (let i = 0; i < wordCount; i++) to[toWord + i] = from[fromWord + i];
			return;
		}
	}
	copyBytes(source, sourceOffset, target, targetOffset, size);
}
