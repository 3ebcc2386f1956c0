/** What the batch kill loop writes: groups of keys with the same stamp, over all partitions. */

export const groupCount = 8;
/** So many keys lie in all of three partitions, but for one chance in a thousand; every group shows less than that. */
const keyCount = 16;

export function groupKeys(group: number): string[] {
	return Array.from({ length: keyCount }, (_, i) => `group${group}:${i}`);
}

/** Long enough that a memtable is full after some. */
export function stampValue(stamp: number): string {
	return `${stamp} `.padEnd(1500 + (stamp % 50), '.');
}

/** What is wrong with what a group holds; '': nothing. @param acknowledged the newest stamp that was */
export function groupProblem(group: number, values: readonly (Uint8Array | undefined)[], acknowledged: number): string {
	const stamps = new Set(
		values.map((value) => (value === undefined ? 0 : Number.parseInt(Buffer.from(value).toString(), 10))),
	);
	if (stamps.size > 1) return `group ${group} holds a part of a batch: stamps ${[...stamps].join(', ')}`;
	const [stamp] = stamps;
	return stamp >= acknowledged ? '' : `group ${group} holds stamp ${stamp}, but ${acknowledged} was acknowledged`;
}
