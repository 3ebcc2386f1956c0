/**
 * Keeps a successor of the manifest ready, and lets the manifest roll on to it (manifest/manifest-store.ts).
 *
 *   prepare (job) ─> ready ─> an edit finds the manifest long or short of room: roll (log thread) ─> durable ─> prepare …
 *
 * The next successor is ordered only when the roll is durable: until then CURRENT.tmp is the log thread's. When there is no space
 * for one, edits go on into the old manifest; once its room is nearly used up, nothing that ends in an edit is begun (the disk is
 * full then). Partition's thread only.
 */

import { manifestFileName } from '../manifest/manifest-format.js';
import { maybePutRoll } from '../wal/put-roll.js';
import type { JobFailure } from './jobs.js';
import type { Upkeep } from './upkeep.js';

/** Edits after which a successor that found no space is tried again. */
const retryEditCount = 16;

export class ManifestRoller {
	readonly #upkeep: Upkeep;
	#isPreparing = false;
	/** The roll under way is durable when so many edits are; 0: none is under way. */
	#rolledEditCount = 0;
	#retryAtEditCount = 0;
	rollCount = 0;

	constructor(upkeep: Upkeep) {
		this.#upkeep = upkeep;
	}

	/** The live manifest is not on the disk yet: the log thread has still to write it. */
	get isRolling(): boolean {
		return this.#rolledEditCount > 0;
	}

	maybePrepare(): void {
		const { recovered, host, refusal, disk } = this.#upkeep;
		const { manifest } = recovered;
		if (this.#isPreparing || this.#rolledEditCount > 0 || refusal !== undefined || disk.isPaused) return;
		if (manifest.editCount < this.#retryAtEditCount && !manifest.isStuck) return;
		const order = manifest.orderSuccessor();
		if (order === undefined) return;
		this.#isPreparing = true;
		host.submitJob({ kind: 'prepareManifest', ...order });
	}

	onPrepared(size: number, failure: JobFailure | undefined): void {
		const { manifest } = this.#upkeep.recovered;
		this.#isPreparing = false;
		if (failure === undefined) {
			manifest.onSuccessorReady(size);
			return;
		}
		this.#retryAtEditCount = manifest.editCount + retryEditCount;
		if (failure.systemCode !== 'ENOSPC' || manifest.isStuck) {
			this.#upkeep.onJobFailed('a manifest could not be prepared', failure);
		}
	}

	/** Rolls on before the next edit, if it is time. @returns the name of the manifest that is no longer live */
	maybeRoll(editsPut: number): string | undefined {
		const { recovered, host } = this.#upkeep;
		const { manifest } = recovered;
		if (!manifest.mustRoll) return undefined;
		const old = manifest.number;
		const record = manifest.roll();
		const position = host.commitPosition();
		while (!maybePutRoll(host.queue, record, manifest.number, position)) host.waitForLog();
		this.#rolledEditCount = editsPut + 1;
		this.#retryAtEditCount = 0;
		this.rollCount++;
		return manifestFileName(old);
	}

	onEditsDone(count: number): void {
		if (this.#rolledEditCount > 0 && count >= this.#rolledEditCount) this.#rolledEditCount = 0;
		this.maybePrepare();
	}
}
