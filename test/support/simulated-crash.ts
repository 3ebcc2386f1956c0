/**
 * What a power cut may leave of a simulated disk.
 *
 *   journal  [create a][write a][sync a][write a][rename a b] ...      every change, in the order it was asked for
 *                                 |         |        |
 *            durable image <──────┘         └────────┴── pending: kept, dropped or torn, freely
 *
 * The rules, pessimistic on purpose (POSIX promises no more):
 * - a file's writes and truncations become durable with a sync of that file that succeeds;
 * - names (create, rename, link, remove, make directory) become durable with a sync of their directory;
 * - until then each may be there or not after a crash, whatever the others do; a later one never ends up under an
 *   earlier one, and a rename is all or nothing;
 * - a write over several 512-byte sectors may arrive in part: a prefix, or any sectors of it;
 * - after a failed sync, what was pending is in limbo: no later sync makes it certain (the "fsync gate").
 */
import { assert, unreachable } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import { type DiskImage, FileContent, rootNode } from './simulated-image.js';

export type JournalRecord =
	| { kind: 'write'; node: number; path: string; position: number; bytes: Uint8Array }
	| { kind: 'truncate'; node: number; path: string; size: number }
	| { kind: 'flip'; node: number; path: string; offset: number; bit: number }
	| { kind: 'create'; node: number; path: string; parent: number; name: string }
	| { kind: 'makeDirectory'; node: number; path: string; parent: number; name: string }
	| { kind: 'rename'; node: number; path: string; parent: number; name: string; target: string }
	| { kind: 'link'; node: number; path: string; parent: number; name: string }
	| { kind: 'remove'; node: number; path: string; parent: number; name: string }
	| { kind: 'sync'; node: number; path: string; isFailed: boolean };

type Change = Exclude<JournalRecord, { kind: 'sync' }>;

/** 'open': waits for a sync. 'limbo': a sync failed over it. 'certain': durable, but on top of something in limbo. */
export interface Pending {
	readonly index: number;
	readonly change: Change;
	state: 'open' | 'limbo' | 'certain';
}

export type Fate = 'keep' | 'drop' | 'tear';

const sectorSize = 512;
/** Above this many undecided changes, their combinations are sampled. */
const exhaustiveCountMax = 12;
const tearsPerChange = 4;

/** The node whose sync makes a change durable. */
function ownerOf(change: Change): number {
	return 'parent' in change ? change.parent : change.node;
}

function sectorCount(change: Change): number {
	if (change.kind !== 'write' || change.bytes.length === 0) return 0;
	const end = change.position + change.bytes.length - 1;
	return Math.floor(end / sectorSize) - Math.floor(change.position / sectorSize) + 1;
}

export function isTearable(change: Change): boolean {
	return sectorCount(change) > 1;
}

/** Names change only where they still mean the same node: what they were based on may have been dropped. */
function applyNaming(image: DiskImage, change: Change): void {
	if (!('parent' in change)) return;
	const parent = image.nodes.get(change.parent);
	if (parent?.kind !== 'directory') return;
	if (change.kind === 'create' || change.kind === 'makeDirectory' || change.kind === 'link') {
		parent.entries.set(change.name, change.node);
		return;
	}
	if (parent.entries.get(change.name) === change.node) parent.entries.delete(change.name);
	if (change.kind === 'rename') parent.entries.set(change.target, change.node);
}

function applyChange(image: DiskImage, change: Change): void {
	if ('parent' in change) {
		applyNaming(image, change);
		return;
	}
	const node = image.nodes.get(change.node);
	if (node?.kind !== 'file') return;
	if (change.kind === 'write') node.content.write(change.bytes, change.position);
	else if (change.kind === 'truncate') node.content.truncate(change.size);
	else if (change.kind === 'flip') node.content.flipBit(change.offset, change.bit);
	else unreachable(change, 'change');
}

/** Applies some sectors of a write, at least one and not all; the file grows in full or only as far as was kept. */
function applyTorn(image: DiskImage, change: Change, prng: Prng): void {
	const node = image.nodes.get(change.node);
	if (change.kind !== 'write' || node?.kind !== 'file') return;
	const count = sectorCount(change);
	const prefixCount = prng.chance(0.5) ? 1 + prng.below(count - 1) : 0;
	const keptAlways = prng.below(count);
	const droppedAlways = (keptAlways + 1 + prng.below(count - 1)) % count;
	const firstSector = Math.floor(change.position / sectorSize);
	for (let i = 0; i < count; i++) {
		const isRandomlyKept = i === keptAlways || (i !== droppedAlways && prng.chance(0.5));
		if (prefixCount > 0 ? i >= prefixCount : !isRandomlyKept) continue;
		const start = Math.max(0, (firstSector + i) * sectorSize - change.position);
		const end = Math.min(change.bytes.length, (firstSector + i + 1) * sectorSize - change.position);
		node.content.write(change.bytes.subarray(start, end), change.position + start);
	}
	const fullSize = change.position + change.bytes.length;
	if (fullSize > node.content.size && prng.chance(0.5)) node.content.truncate(fullSize);
}

/** One legal disk after a crash, and how it came about. */
export interface CrashState {
	readonly image: DiskImage;
	describe(): string;
}

/** Follows a journal forward, keeping apart what is durable and what is pending. */
export class DurabilityModel {
	position = 0;
	/** Holds every node from its creation on: a file may be synced before its name is. Only names make it survive. */
	#durable: DiskImage;
	#pendingByOwner = new Map<number, Pending[]>();

	constructor(start: DiskImage) {
		this.#durable = start.clone();
	}

	advance(journal: readonly JournalRecord[], position: number): void {
		for (; this.position < position; this.position++) {
			const record = journal[this.position] as JournalRecord;
			if (record.kind === 'sync') this.#sync(record.node, record.isFailed);
			else this.#add(record);
		}
	}

	/** Changes whose fate a crash now would decide, in journal order. */
	undecided(): Pending[] {
		const items: Pending[] = [];
		for (const list of this.#pendingByOwner.values()) {
			for (const item of list) if (item.state !== 'certain') items.push(item);
		}
		return items.sort((a, b) => a.index - b.index);
	}

	/** The disk when `fates[i]` befalls `undecided()[i]`. Tears that cannot be (one sector) are drops. */
	crash(fates: readonly Fate[], prng: Prng): CrashState {
		const items = this.undecided();
		assert(fates.length === items.length, `${fates.length} fates for ${items.length} changes`);
		const fateByItem = new Map(items.map((item, i) => [item, fates[i]]));
		const image = this.#durable.cloneAll();
		for (const list of this.#pendingByOwner.values()) {
			for (const item of list) {
				const fate = item.state === 'certain' ? 'keep' : fateByItem.get(item);
				if (fate === 'keep') applyChange(image, item.change);
				else if (fate === 'tear' && isTearable(item.change)) applyTorn(image, item.change, prng);
			}
		}
		const position = this.position;
		const describe = () => {
			const lines = items.map((item, i) => `  ${fates[i]} #${item.index} ${describeChange(item.change)}`);
			return [`crash at journal position ${position}`, ...lines].join('\n');
		};
		return { image: image.clone(), describe };
	}

	#add(change: Change): void {
		const { nodes } = this.#durable;
		if (change.kind === 'create') nodes.set(change.node, { kind: 'file', content: new FileContent() });
		if (change.kind === 'makeDirectory') nodes.set(change.node, { kind: 'directory', entries: new Map() });
		// A file that was forgotten can still be written through an open handle; nothing of that can survive.
		if (!nodes.has(change.node)) return;
		const owner = ownerOf(change);
		let list = this.#pendingByOwner.get(owner);
		if (list === undefined) {
			list = [];
			this.#pendingByOwner.set(owner, list);
		}
		list.push({ index: this.position, change, state: change.kind === 'flip' ? 'certain' : 'open' });
	}

	#sync(owner: number, isFailed: boolean): void {
		const list = this.#pendingByOwner.get(owner);
		if (list === undefined) return;
		if (isFailed) {
			for (const item of list) if (item.state === 'open') item.state = 'limbo';
		} else if (list.some((item) => item.state === 'limbo')) {
			for (const item of list) if (item.state === 'open') item.state = 'certain';
		} else {
			for (const item of list) applyChange(this.#durable, item.change);
			this.#pendingByOwner.delete(owner);
			if (this.#durable.nodes.get(owner)?.kind === 'directory') this.#forgetUnreachable();
		}
	}

	/** Drops files that no crash can bring back, so that their pending writes do not multiply the crash states. */
	#forgetUnreachable(): void {
		const reached = new Set<number>();
		this.#durable.reach(rootNode, reached);
		for (const list of this.#pendingByOwner.values()) {
			for (const item of list) if ('parent' in item.change) this.#durable.reach(item.change.node, reached);
		}
		for (const number of this.#durable.nodes.keys()) {
			if (reached.has(number)) continue;
			this.#durable.nodes.delete(number);
			this.#pendingByOwner.delete(number);
		}
	}
}

function describeChange(change: Change): string {
	if (change.kind === 'write') return `write ${change.path} ${change.position}+${change.bytes.length}`;
	if (change.kind === 'truncate') return `truncate ${change.path} to ${change.size}`;
	if (change.kind === 'rename') return `rename ${change.path} to ${change.target}`;
	return `${change.kind} ${change.path}`;
}

/** One random combination of fates: nothing, everything, everything up to a point, or anything. */
export function randomFates(count: number, prng: Prng): Fate[] {
	const style = prng.below(8);
	if (style === 0) return new Array<Fate>(count).fill('drop');
	if (style === 1) return new Array<Fate>(count).fill('keep');
	const fates: Fate[] = [];
	const boundary = prng.below(count + 1);
	const keptShare = prng.below(101) / 100;
	for (let i = 0; i < count; i++) {
		if (style <= 4) fates.push(i < boundary ? 'keep' : i === boundary ? 'tear' : 'drop');
		else fates.push(prng.chance(0.2) ? 'tear' : prng.chance(keptShare) ? 'keep' : 'drop');
	}
	return fates;
}

/**
 * Combinations of fates for the undecided changes, at most `limit`: when all keep/drop combinations fit, all of
 * them, then each tearable change torn among random others; else evenly spaced prefixes, then random ones.
 * @param tearable one flag for each undecided change
 */
export function* enumerateFates(tearable: readonly boolean[], limit: number, prng: Prng): Generator<Fate[]> {
	const count = tearable.length;
	let made = 0;
	if (count <= exhaustiveCountMax && 2 ** count <= limit) {
		for (let mask = 0; mask < 2 ** count; mask++, made++) {
			yield tearable.map((_, i) => ((mask >>> i) & 1 ? 'keep' : 'drop'));
		}
		for (let round = 0; round < tearsPerChange; round++) {
			for (let i = 0; i < count && made < limit; i++) {
				if (!tearable[i]) continue;
				const fates = randomFates(count, prng);
				fates[i] = 'tear';
				yield fates;
				made++;
			}
		}
		return;
	}
	const step = Math.max(1, Math.ceil((2 * (count + 1)) / limit));
	for (let kept = 0; kept <= count && made < limit; kept += step, made++) {
		yield tearable.map((_, i) => (i < kept ? 'keep' : 'drop'));
	}
	for (; made < limit; made++) yield randomFates(count, prng);
}
