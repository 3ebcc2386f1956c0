/**
 * The adaptive radix tree inside a memtable's arena (layout and source: memtable-format.ts), as plain functions over
 * (words, bytes): no `this`, no objects, so that the put and get loops stay flat. Single writer. Entries and nodes are never
 * changed once published except for pointers, which are replaced last, so a reader that runs beside a writer sees a tree
 * that was whole at some moment.
 */
import { assert } from '../../../base/assert.js';
import {
	arenaNodesWord,
	arenaRootWord,
	entryHasExpiry,
	entryHeaderWords,
	entryKeySizeWord,
	node4,
	node16,
	node48,
	node256,
	nodeBodyWord,
	nodeCapacity,
	nodeDepthWord,
	nodeOwnWord,
	nodePointersWord,
	nodeSampleWord,
	nodeTypeWord,
	nodeWords,
} from './memtable-format.js';

/** Byte offset of an entry's key. */
export function keyByteOffset(words: Int32Array, entry: number): number {
	const hasExpiry = (words[entry + entryKeySizeWord] & entryHasExpiry) !== 0;
	return (entry + entryHeaderWords + (hasExpiry ? 2 : 0)) * 4;
}

export function keySizeOf(words: Int32Array, entry: number): number {
	return words[entry + entryKeySizeWord] & 0xffff;
}

/** Word that holds the pointer for `label`, or 0 when the node has none. */
export function findChildWord(words: Int32Array, bytes: Uint8Array, node: number, label: number): number {
	const typeAndCount = words[node + nodeTypeWord];
	const type = typeAndCount & 0xff;
	if (type <= node16) {
		const labels = (node + nodeBodyWord) * 4;
		const count = typeAndCount >>> 8;
		for (let i = 0; i < count; i++) {
			if (bytes[labels + i] === label) return node + nodePointersWord[type] + i;
		}
		return 0;
	}
	if (type === node48) {
		const slot = bytes[(node + nodeBodyWord) * 4 + label];
		return slot === 0 ? 0 : node + nodePointersWord[node48] + slot - 1;
	}
	const word = node + nodePointersWord[node256] + label;
	return words[word] === 0 ? 0 : word;
}

/** The smallest label > `after` of a node, or 256. */
export function nextLabel(words: Int32Array, bytes: Uint8Array, node: number, after: number): number {
	const typeAndCount = words[node + nodeTypeWord];
	const type = typeAndCount & 0xff;
	let best = 256;
	if (type <= node16) {
		const labels = (node + nodeBodyWord) * 4;
		const count = typeAndCount >>> 8;
		for (let i = 0; i < count; i++) {
			const label = bytes[labels + i];
			if (label > after && label < best) best = label;
		}
		return best;
	}
	if (type === node48) {
		const slots = (node + nodeBodyWord) * 4;
		for (let label = after + 1; label < 256; label++) if (bytes[slots + label] !== 0) return label;
		return 256;
	}
	for (let label = after + 1; label < 256; label++) {
		if (words[node + nodePointersWord[node256] + label] !== 0) return label;
	}
	return best;
}

/** The largest label < `before` of a node, or -1. */
export function previousLabel(words: Int32Array, bytes: Uint8Array, node: number, before: number): number {
	const typeAndCount = words[node + nodeTypeWord];
	const type = typeAndCount & 0xff;
	if (type <= node16) {
		const labels = (node + nodeBodyWord) * 4;
		const count = typeAndCount >>> 8;
		let best = -1;
		for (let i = 0; i < count; i++) {
			const label = bytes[labels + i];
			if (label < before && label > best) best = label;
		}
		return best;
	}
	let label = before - 1;
	if (type === node48) {
		const slots = (node + nodeBodyWord) * 4;
		while (label >= 0 && bytes[slots + label] === 0) label--;
	} else {
		const pointers = node + nodePointersWord[node256];
		while (label >= 0 && words[pointers + label] === 0) label--;
	}
	return label;
}

/** The entry most like the key that a blind descent finds: it shares as long a prefix as any entry does. Tree not empty. */
export function findLikeEntry(
	words: Int32Array,
	bytes: Uint8Array,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
): number {
	let pointer = words[arenaRootWord];
	while ((pointer & 1) === 0) {
		const node = pointer >>> 1;
		const depth = words[node + nodeDepthWord];
		if (keySize <= depth) return words[node + nodeSampleWord];
		const word = findChildWord(words, bytes, node, key[keyOffset + depth]);
		if (word === 0) return words[node + nodeSampleWord];
		pointer = words[word];
	}
	return pointer >>> 1;
}

/** Count of leading bytes the entry's key and the given one share. */
export function sharedPrefixSize(
	words: Int32Array,
	bytes: Uint8Array,
	entry: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
): number {
	const size = Math.min(keySizeOf(words, entry), keySize);
	const at = keyByteOffset(words, entry);
	let i = 0;
	while (i < size && bytes[at + i] === key[keyOffset + i]) i++;
	return i;
}

/** Takes a node's words from the arena, all zero but type, depth and sample. The caller made sure there is room. */
function allocateNode(words: Int32Array, type: number, depth: number, sample: number): number {
	const size = nodeWords[type];
	const node = words[arenaNodesWord] - size;
	words[arenaNodesWord] = node;
	words.fill(0, node + nodeOwnWord, node + size);
	words[node + nodeTypeWord] = type;
	words[node + nodeDepthWord] = depth;
	words[node + nodeSampleWord] = sample;
	return node;
}

/** Adds a child to a node that has room and not this label. The pointer is stored before the label that shows it. */
function addChild(words: Int32Array, bytes: Uint8Array, node: number, label: number, pointer: number): void {
	const typeAndCount = words[node + nodeTypeWord];
	const type = typeAndCount & 0xff;
	const count = typeAndCount >>> 8;
	assert(count < nodeCapacity[type], 'a child is added to a node with room');
	if (type === node256) {
		words[node + nodePointersWord[node256] + label] = pointer;
	} else {
		words[node + nodePointersWord[type] + count] = pointer;
		if (type === node48) bytes[(node + nodeBodyWord) * 4 + label] = count + 1;
		else bytes[(node + nodeBodyWord) * 4 + count] = label;
	}
	words[node + nodeTypeWord] = type | ((count + 1) << 8);
}

/** A copy of a full node, one type larger. */
function growNode(words: Int32Array, bytes: Uint8Array, node: number): number {
	const type = words[node + nodeTypeWord] & 0xff;
	const grown = allocateNode(words, type + 1, words[node + nodeDepthWord], words[node + nodeSampleWord]);
	words[grown + nodeOwnWord] = words[node + nodeOwnWord];
	for (let label = nextLabel(words, bytes, node, -1); label < 256; ) {
		addChild(words, bytes, grown, label, words[findChildWord(words, bytes, node, label)]);
		label = nextLabel(words, bytes, node, label);
	}
	return grown;
}

/** Count of bytes from `from` on, up to `to`, in which the entry's key and the given one agree, plus `from`. */
function agreeUpTo(
	words: Int32Array,
	bytes: Uint8Array,
	entry: number,
	key: Uint8Array,
	keyOffset: number,
	from: number,
	to: number,
): number {
	const at = keyByteOffset(words, entry);
	let i = from;
	while (i < to && bytes[at + i] === key[keyOffset + i]) i++;
	return i;
}

/**
 * Puts the first entry of a key that the tree does not have into the tree. Room for two nodes is the caller's duty.
 *
 * One descent. Bytes that a compressed path skips are compared with the node's sample; where nothing is skipped, no entry is
 * read at all, which spares dense keys a cache miss.
 */
export function insertKey(
	words: Int32Array,
	bytes: Uint8Array,
	entry: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
): void {
	let word = arenaRootWord;
	let verified = 0;
	while (words[word] !== 0) {
		const pointer = words[word];
		const node = pointer >>> 1;
		const isLeaf = (pointer & 1) === 1;
		const like = isLeaf ? node : words[node + nodeSampleWord];
		const depth = isLeaf ? Math.min(keySize, keySizeOf(words, like)) : words[node + nodeDepthWord];
		if (isLeaf || depth > verified) {
			const shared = agreeUpTo(words, bytes, like, key, keyOffset, verified, Math.min(depth, keySize));
			if (isLeaf || shared < depth) {
				splitAt(words, bytes, word, like, entry, key, keyOffset, keySize, shared);
				return;
			}
		}
		if (keySize === depth) {
			words[node + nodeOwnWord] = entry * 2 + 1;
			return;
		}
		const label = key[keyOffset + depth];
		const childWord = findChildWord(words, bytes, node, label);
		if (childWord === 0) {
			addOrGrow(words, bytes, word, label, entry * 2 + 1);
			return;
		}
		word = childWord;
		verified = depth + 1;
	}
	words[word] = entry * 2 + 1;
}

/** Puts a node between `word` and what hangs there: the new key and those below part after `shared` bytes. */
function splitAt(
	words: Int32Array,
	bytes: Uint8Array,
	word: number,
	like: number,
	entry: number,
	key: Uint8Array,
	keyOffset: number,
	keySize: number,
	shared: number,
): void {
	const existing = words[word];
	const parent = allocateNode(words, node4, shared, entry);
	if (keySizeOf(words, like) === shared) words[parent + nodeOwnWord] = existing;
	else addChild(words, bytes, parent, bytes[keyByteOffset(words, like) + shared], existing);
	if (keySize === shared) words[parent + nodeOwnWord] = entry * 2 + 1;
	else addChild(words, bytes, parent, key[keyOffset + shared], entry * 2 + 1);
	words[word] = parent * 2;
}

/** Adds a child to the node that `word` points to, in a larger copy when it is full. */
function addOrGrow(words: Int32Array, bytes: Uint8Array, word: number, label: number, pointer: number): void {
	const node = words[word] >>> 1;
	const typeAndCount = words[node + nodeTypeWord];
	const isFull = typeAndCount >>> 8 === nodeCapacity[typeAndCount & 0xff];
	const target = isFull ? growNode(words, bytes, node) : node;
	addChild(words, bytes, target, label, pointer);
	if (isFull) words[word] = target * 2;
}
