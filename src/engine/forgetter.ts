/**
 * Lets coordinators forget decisions that everybody has carried out, durably: until then a partition that lost its part in a
 * crash would ask for it. Many at once, a little later: one barrier for each partition, then the ids.
 *
 *   add ─ add ─ add ──(a pause, or many)──> opBarrier, synced, at all partitions concerned ──> opForget
 *
 * Nobody waits for it. Where it fails the decisions are kept, until the database is opened again. One asking thread.
 */
import { opBarrier, opForget, wishAlways } from '../command/command-format.js';
import type { Asker } from './asker.js';

/** Decisions are gathered for so long, or until there are so many. */
const gatherMs = 50;
const gatherCountMax = 256;
/** Ids in one opForget: 64 KiB. */
const idsPerCommand = 4096;

interface Decision {
	readonly coordinator: number;
	readonly id: Uint8Array;
}

export class Forgetter {
	readonly #asker: Asker;
	#decisions: Decision[] = [];
	#partitions = new Set<number>();
	#timer: NodeJS.Timeout | undefined;

	constructor(asker: Asker) {
		this.#asker = asker;
	}

	/** The batch is stored at all of these partitions. */
	add(coordinator: number, id: Uint8Array, partitions: readonly number[]): void {
		this.#decisions.push({ coordinator, id });
		for (const partition of partitions) this.#partitions.add(partition);
		if (this.#decisions.length >= gatherCountMax) {
			clearTimeout(this.#timer);
			this.#start();
		} else {
			this.#timer ??= setTimeout(() => this.#start(), gatherMs).unref();
		}
	}

	#start(): void {
		this.#timer = undefined;
		const decisions = this.#decisions;
		const partitions = this.#partitions;
		this.#decisions = [];
		this.#partitions = new Set();
		// A database that closes, or a partition whose log failed, keeps them: opening settles what is left.
		this.#forget(decisions, partitions).catch(() => undefined);
	}

	async #forget(decisions: readonly Decision[], partitions: ReadonlySet<number>): Promise<void> {
		await makeDurable(this.#asker, partitions);
		const ids = new Map<number, Uint8Array[]>();
		for (const { coordinator, id } of decisions) ids.set(coordinator, [...(ids.get(coordinator) ?? []), id]);
		await Promise.all([...ids].map(([coordinator, own]) => forget(this.#asker, coordinator, own)));
	}
}

/** Has a coordinator forget decisions. A crash brings all back that were made since a flush: there may be very many. */
export async function forget(asker: Asker, coordinator: number, ids: readonly Uint8Array[]): Promise<void> {
	for (let first = 0; first < ids.length; first += idsPerCommand) {
		await asker.ask(coordinator, { opcode: opForget, value: Buffer.concat(ids.slice(first, first + idsPerCommand)) });
	}
}

/** Resolves when everything that these partitions have carried out so far is synced. */
export async function makeDurable(asker: Asker, partitions: Iterable<number>): Promise<void> {
	await Promise.all([...partitions].map((partition) => asker.ask(partition, { opcode: opBarrier, wish: wishAlways })));
}
