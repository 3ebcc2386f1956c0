/**
 * LZ4 blocks (github.com/lz4/lz4, doc/lz4_Block_format.md) in linear memory. AssemblyScript, compiled by `make wasm`;
 * not part of the TypeScript build.
 *
 *   sequence   u8 token (literal count << 4 | match size - 4) | [255…] literals | u16 distance | [255…]
 *   the last sequence is literals only: at least 5 bytes, and no match starts in the last 12
 *
 * Copies go eight bytes at a time wherever both sides have that much room before their end, so nothing outside
 * [target, target + targetSize) is written and nothing outside [source, source + size) is read as input, whatever the bytes.
 */

const minMatch: u32 = 4;
const lastLiteralCount: u32 = 5;
const matchStartDistance: u32 = 12;
const distanceMax: u32 = 65535;
const hashLog: u32 = 12;
/** After so many fruitless tries (a power of two) the search takes one byte more a step. */
const skipTrigger: u32 = 6;

/** For each hash, `epoch` + position of the last four bytes that had it. */
const table: usize = memory.data(1 << (hashLog + 2), 16);
/** Entries below it are left from earlier blocks: the table need not be cleared for each. */
let epoch: u32 = 1;

/** @returns true when the block decompresses to exactly `targetSize` bytes */
export function decompress(source: u32, size: u32, target: u32, targetSize: u32): bool {
	const sourceEnd = source + size;
	const targetEnd = target + targetSize;
	let from = source;
	let to = target;
	while (from < sourceEnd) {
		const token: u32 = load<u8>(from++);
		let literalCount = token >>> 4;
		if (literalCount === 15) {
			let byte: u32;
			do {
				if (from >= sourceEnd) return false;
				byte = load<u8>(from++);
				literalCount += byte;
			} while (byte === 255);
		}
		if (literalCount > 0) {
			if (literalCount > targetEnd - to || literalCount > sourceEnd - from) return false;
			const end = to + literalCount;
			const next = from + literalCount;
			if (end + 8 <= targetEnd && next + 8 <= sourceEnd) {
				do {
					store<u64>(to, load<u64>(from));
					from += 8;
					to += 8;
				} while (to < end);
			} else {
				memory.copy(to, from, literalCount);
			}
			to = end;
			from = next;
		}
		if (from === sourceEnd) return to === targetEnd;
		if (sourceEnd - from < 2) return false;
		const distance: u32 = load<u16>(from);
		from += 2;
		if (distance === 0 || distance > to - target) return false;
		let matchSize = token & 15;
		if (matchSize === 15) {
			let byte: u32;
			do {
				if (from >= sourceEnd) return false;
				byte = load<u8>(from++);
				matchSize += byte;
			} while (byte === 255);
		}
		matchSize += minMatch;
		if (matchSize > targetEnd - to) return false;
		copyMatch(to, distance, matchSize, targetEnd);
		to += matchSize;
	}
	return false;
}

/** Repeats what lies `distance` before `to`. A short pattern is first laid out until its copies are eight bytes apart. */
// @ts-expect-error: decorator
@inline
function copyMatch(to: u32, distance: u32, size: u32, targetEnd: u32): void {
	const end = to + size;
	let from = to - distance;
	if (end + 8 <= targetEnd) {
		if (distance < 8) {
			let apart = distance;
			while (apart < 8) apart += distance;
			const laidOut = min(end, to + apart - distance);
			while (to < laidOut) store<u8>(to++, load<u8>(from++));
			from = to - apart;
		}
		while (to < end) {
			store<u64>(to, load<u64>(from));
			from += 8;
			to += 8;
		}
	} else {
		while (to < end) store<u8>(to++, load<u8>(from++));
	}
}

/** @returns bytes written at `target`, or 0 when they would be more than `targetSize`, or the block is too short to shrink */
export function compress(source: u32, size: u32, target: u32, targetSize: u32): u32 {
	if (size <= matchStartDistance) return 0;
	if (size >= u32.MAX_VALUE - epoch) {
		memory.fill(table, 0, 1 << (hashLog + 2));
		epoch = 1;
	}
	const sourceEnd = source + size;
	const targetEnd = target + targetSize;
	const matchLimit = sourceEnd - lastLiteralCount;
	const startLimit = sourceEnd - matchStartDistance;
	/** What is subtracted from a table entry to give an address; entries of earlier blocks come out below `source`. */
	const bias = epoch - source;
	let anchor = source;
	let at = source;
	let to = target;
	store<u32>(slotOf(load<u32>(at)), at + bias);
	at++;
	while (at <= startLimit) {
		let match: u32 = 0;
		let tries: u32 = 1 << skipTrigger;
		for (;;) {
			const word = load<u32>(at);
			const slot = slotOf(word);
			const entry = load<u32>(slot);
			store<u32>(slot, at + bias);
			if (entry >= epoch) {
				match = entry - bias;
				if (at - match <= distanceMax && load<u32>(match) === word) break;
			}
			at += tries++ >>> skipTrigger;
			if (at > startLimit) {
				match = 0;
				break;
			}
		}
		if (match === 0) break;
		while (at > anchor && match > source && load<u8>(at - 1) === load<u8>(match - 1)) {
			at--;
			match--;
		}
		const literalCount = at - anchor;
		const matchEnd = endOfMatch(at + minMatch, match + minMatch, matchLimit);
		const matchSize = matchEnd - at - minMatch;
		if (sequenceSizeMax(literalCount, matchSize) > targetEnd - to) return fail(size);
		to = putLiterals(to, anchor, literalCount, min(matchSize, 15), sourceEnd);
		store<u16>(to, <u16>(at - match));
		to += 2;
		if (matchSize >= 15) to = putCount(to, matchSize - 15);
		at = matchEnd;
		anchor = at;
		if (at <= startLimit) store<u32>(slotOf(load<u32>(at - 2)), at - 2 + bias);
	}
	const literalCount = sourceEnd - anchor;
	if (sequenceSizeMax(literalCount, 0) > targetEnd - to) return fail(size);
	epoch += size;
	return putLiterals(to, anchor, literalCount, 0, 0) - target;
}

// @ts-expect-error: decorator
@inline
function fail(size: u32): u32 {
	epoch += size;
	return 0;
}

// @ts-expect-error: decorator
@inline
function slotOf(word: u32): usize {
	return table + (((word * 2654435761) >>> (32 - hashLog)) << 2);
}

/** How far two runs are alike, eight bytes at a time. @returns where the later one ends, at most `limit` */
// @ts-expect-error: decorator
@inline
function endOfMatch(at: u32, match: u32, limit: u32): u32 {
	while (at + 8 <= limit) {
		const difference = load<u64>(at) ^ load<u64>(match);
		if (difference !== 0) return at + (<u32>ctz(difference) >>> 3);
		at += 8;
		match += 8;
	}
	while (at < limit && load<u8>(at) === load<u8>(match)) {
		at++;
		match++;
	}
	return at;
}

/** Token, distance, both counts with their 255s, and eight bytes that a copy of literals may write too many. */
// @ts-expect-error: decorator
@inline
function sequenceSizeMax(literalCount: u32, matchSize: u32): u32 {
	const countSizes: u32 = literalCount / 255 + matchSize / 255 + 2;
	return countSizes + literalCount + 11;
}

/** Writes token and literals. @param readEnd up to where eight bytes at once may be read; 0: copy exactly */
// @ts-expect-error: decorator
@inline
function putLiterals(to: u32, literals: u32, count: u32, matchNibble: u32, readEnd: u32): u32 {
	store<u8>(to++, <u8>((min(count, 15) << 4) | matchNibble));
	if (count >= 15) to = putCount(to, count - 15);
	const end = to + count;
	if (literals + count + 8 <= readEnd) {
		while (to < end) {
			store<u64>(to, load<u64>(literals));
			literals += 8;
			to += 8;
		}
	} else {
		memory.copy(to, literals, count);
	}
	return end;
}

// @ts-expect-error: decorator
@inline
function putCount(to: u32, count: u32): u32 {
	while (count >= 255) {
		store<u8>(to++, 255);
		count -= 255;
	}
	store<u8>(to++, <u8>count);
	return to;
}
