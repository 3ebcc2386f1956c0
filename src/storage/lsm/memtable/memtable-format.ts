/**
 * The arena of a memtable: one SharedArrayBuffer, addressed in 32-bit words, never freed in part. A hash table finds keys, a
 * radix tree keeps them in order. Entries fill the arena from the front, nodes from the back, so that the nodes stay close
 * together in the caches. The partition writes it; the background pool reads it to flush, and any thread that reads without a
 * message (ArenaReader). docs/formats/memtable.md is its page.
 *
 *   arena   word 0 magic | 1 root | 2 end of the entries | 3 entries | 4 keys | 5 tombstones | 6 start of the nodes
 *           | 7 slotCount | 8,9 min sequence | 10,11 max sequence | 12 newest range tombstone (0: none) | 13 range tombstones
 *           | 14 generation, odd while the arena is reset | from word 16: slots, entries … free … nodes
 *   slot    0: free | else the newest entry of a key, and above it as many high bits of the key's hash as there is room for
 *   entry   0 previous version (of a key's first entry: its newest) | 1 sequence low | 2 sequence high (21 bits), kind << 24
 *           | 3 keySize (16 bits), entryHasExpiry << 16 | 4 valueSize | 5 the key's first entry | [6,7 expiresAtMs as f64]
 *           | key | value | pad to 4
 *   range     as an entry of kind 255, key = start, value = end; word 0: the range tombstone before it (0: none); word 5: 0
 *   node    0 type (8 bits), count << 8 | 1 depth | 2 own pointer | 3 sample entry | 4.. by type:
 *           node4    4 labels (1 word)   | 4 pointers
 *           node16   16 labels (4 words) | 16 pointers
 *           node48   256 slot bytes (64 words; 0: none, else slot + 1) | 48 pointers
 *           node256  256 pointers
 *   pointer 0: nothing | word offset * 2: node | word offset * 2 + 1: first entry of a key
 *
 * A range tombstone is in no slot and not in the tree: only the chain from the header knows it.
 *
 * Publication: an entry's words are all written before the slot (or, of a range tombstone, word 12) is stored atomically, and
 * never change afterwards, but for word 0 of a key's first entry. Versions of a key, and range tombstones, lie at descending
 * offsets.
 *
 * Slots are probed linearly and at most three quarters full. The tree's leaves point to first entries, which never move, so
 * that a new version of a known key touches the slot and the first entry, and not the tree at all.
 *
 * A node is one of an adaptive radix tree (Leis et al., "The Adaptive Radix Tree", ICDE 2013). `depth` is the count of
 * leading bytes all keys below share, so paths are compressed and never stored: `sample` is the entry of any key below.
 * `own` is the key that ends exactly at depth. Labels of node4 and node16 are in order of arrival, so that adding one
 * never moves another.
 */
export const arenaMagic = 0x4152_544d;

export const arenaMagicWord = 0;
export const arenaRootWord = 1;
export const arenaUsedWord = 2;
export const arenaEntryCountWord = 3;
export const arenaKeyCountWord = 4;
export const arenaTombstoneCountWord = 5;
export const arenaNodesWord = 6;
export const arenaSlotCountWord = 7;
export const arenaMinSequenceWord = 8;
export const arenaMaxSequenceWord = 10;
export const arenaRangeWord = 12;
export const arenaRangeCountWord = 13;
/** Not part of what a reset forgets: it tells readers of one. */
export const arenaGenerationWord = 14;
export const arenaHeaderWords = 16;

/** Bytes of arena for each slot: a key with a value of 100 bytes takes some 150. */
export const arenaBytesPerSlot = 128;
export const slotCountMin = 64;

/** Slots of an arena of so many bytes: a power of two. */
export function slotCountFor(arenaSize: number): number {
	return Math.max(slotCountMin, 2 ** Math.floor(Math.log2(arenaSize / arenaBytesPerSlot)));
}

/** Bits of a slot that hold an entry's word offset; the rest hold bits of the hash. */
export function arenaEntryBitsFor(arenaSize: number): number {
	return Math.ceil(Math.log2(arenaSize / 4));
}

export const entryPreviousWord = 0;
export const entrySequenceWord = 1;
export const entryKindWord = 2;
export const entryKeySizeWord = 3;
export const entryValueSizeWord = 4;
export const entryFirstWord = 5;
export const entryExpiryWord = 6;
export const entryHeaderWords = 6;
export const entryExpiryWords = 2;
export const entryHasExpiry = 1 << 16;
/** Kind of a range tombstone in an arena. Beside the kinds of entry.ts, which are for points. */
export const entryKindRange = 255;

export const nodeTypeWord = 0;
export const nodeDepthWord = 1;
export const nodeOwnWord = 2;
export const nodeSampleWord = 3;
export const nodeBodyWord = 4;

export const node4 = 0;
export const node16 = 1;
export const node48 = 2;
export const node256 = 3;

/** Children a node of each type can hold. */
export const nodeCapacity = [4, 16, 48, 256] as const;
/** Words a node of each type takes. */
export const nodeWords = [
	nodeBodyWord + 1 + 4,
	nodeBodyWord + 4 + 16,
	nodeBodyWord + 64 + 48,
	nodeBodyWord + 256,
] as const;
/** Where the pointers of each type begin. */
export const nodePointersWord = [nodeBodyWord + 1, nodeBodyWord + 4, nodeBodyWord + 64, nodeBodyWord] as const;

/** Words an insertion may need beside its entry: a grown node and a new one above a leaf. */
export const insertionWordsMax = nodeWords[3] + nodeWords[0];

/**
 * Words that `count` insertions into a tree of `keyCount` keys may need beside their entries. Far below `count` times the most of
 * one: each takes a node4, or makes one node grow, and a tree of n keys has at most n / 16 nodes with more than 16 children.
 */
export function insertionWordsFor(keyCount: number, count: number): number {
	const leafCount = keyCount + count;
	let words = count * nodeWords[0];
	for (let type = 1; type < nodeWords.length; type++) {
		words += Math.ceil(Math.min(count, leafCount / nodeCapacity[type - 1])) * nodeWords[type];
	}
	return words;
}
