/**
 * The part of a partition's upkeep that is about its files as a whole: the manifest's successor, the reserve file, checkpoints
 * and verification. Partition's thread only; jobs do the work, EditLog and Upkeep are shared with flushes and compactions.
 *
 *   disk full ─> RESERVE removed (job) ─> what was stopped is tried again ─> idle, and space enough ─> RESERVE made (job) ─> open
 */
import { MillraceError } from '../../../base/errors.js';
import type { CheckpointResult } from '../inspect/checkpoint.js';
import type { FileFacts, VerifyTask } from '../inspect/verify-file.js';
import { isLive, judge, type VerifyReport, verifyTasks } from '../inspect/verify-partition.js';
import type { EditLog } from './edit-log.js';
import type { Job, JobFailure, JobResult } from './jobs.js';
import { reserveFileName } from './reserve-file.js';
import type { Upkeep } from './upkeep.js';

/** Gets the result, or why there is none. */
export type Outcome<T> = (result: T | undefined, failure: MillraceError | undefined) => void;

interface Verification {
	/** Tables and segments. */
	readonly waiting: VerifyTask[];
	readonly facts: FileFacts[];
	/** The manifest comes last, once it is on the disk: a roll may still have to be written. */
	isManifestDue: boolean;
	/** It waits for a roll. */
	isPutOff: boolean;
	/** When it began. */
	readonly durableSequence: number;
	readonly onDone: Outcome<VerifyReport>;
}

export class Housekeeping {
	readonly #upkeep: Upkeep;
	readonly #edits: EditLog;
	/** True when no flush is under way or waits, and no compaction is under way. */
	readonly #isIdle: () => boolean;
	#verification: Verification | undefined;
	#onCheckpointed: Outcome<CheckpointResult> | undefined;

	constructor(upkeep: Upkeep, edits: EditLog, isIdle: () => boolean) {
		this.#upkeep = upkeep;
		this.#edits = edits;
		this.#isIdle = isIdle;
	}

	/** Asks for what is missing: a successor for the manifest, the reserve file. */
	maybePrepare(): void {
		this.#edits.roller.maybePrepare();
		if (this.#upkeep.refusal !== undefined) return;
		if (this.#upkeep.disk.maybeReserveTask(this.#isIdle()) === undefined) return;
		this.#upkeep.host.submitJob({ kind: 'prepareReserve', size: this.#upkeep.options.reserveFileSize });
	}

	/** @returns true when it was a job of this kind; what had to wait may then go on */
	onJobDone(job: Job, result: JobResult, failure: JobFailure | undefined): boolean {
		switch (job.kind) {
			case 'prepareManifest':
				this.#edits.roller.onPrepared(job.size, failure);
				return true;
			case 'prepareReserve':
				this.#onReservePrepared(failure);
				return true;
			case 'removeFiles':
				if (!job.names.includes(reserveFileName)) return false;
				this.#upkeep.disk.onReserveRemoved();
				return true;
			case 'checkpoint':
				this.#onCheckpointDone(result as CheckpointResult | undefined, failure);
				return true;
			case 'verify':
				this.#onVerified(result as FileFacts | undefined, failure);
				return true;
			default:
				return false;
		}
	}

	/**
	 * Copies the partition as its tables are now, by hard links. The caller has flushed what must be in it.
	 * @param target does not exist; its parent does
	 */
	checkpoint(target: string, onDone: Outcome<CheckpointResult>): void {
		if (this.#onCheckpointed !== undefined) {
			onDone(undefined, new MillraceError('MILLRACE_BUSY', 'another checkpoint is under way'));
			return;
		}
		// Whoever makes checkpoints of all partitions lets no batch begin meanwhile: then each is in all of them or in none.
		if (this.#upkeep.recovered.transactions.count > 0) {
			const text = 'a batch over several partitions is not decided: a checkpoint could hold a part of it';
			onDone(undefined, new MillraceError('MILLRACE_BUSY', text));
			return;
		}
		const { tables, flushedSequence, nextFileId } = this.#upkeep.recovered.manifest.state;
		this.#onCheckpointed = onDone;
		this.#edits.holdRemovals(true);
		this.#upkeep.host.submitJob({
			kind: 'checkpoint',
			target,
			tables: [...tables.values()],
			flushedSequence,
			nextFileId,
		});
	}

	/**
	 * Checks every byte of every file, one file a job.
	 * @param durableSequence what the log must hold; of the active segment, nothing is asked beyond it
	 */
	verify(durableSequence: number, onDone: Outcome<VerifyReport>): void {
		if (this.#verification !== undefined) {
			onDone(undefined, new MillraceError('MILLRACE_BUSY', 'another verification is under way'));
			return;
		}
		const { manifest, segments } = this.#upkeep.recovered;
		const mustReach = new Map<number, number>();
		for (const { id, lastSequence } of segments.written()) mustReach.set(id, Math.min(lastSequence, durableSequence));
		const waiting = verifyTasks(manifest.state, manifest.number, mustReach).filter(({ what }) => what !== 'manifest');
		this.#verification = { waiting, facts: [], isManifestDue: true, isPutOff: false, durableSequence, onDone };
		this.#verifyNext(this.#verification);
	}

	/** Edits are durable, or no more will be: a verification that waited for a roll goes on. */
	onEditsDone(): void {
		if (this.#verification?.isPutOff) this.#verifyNext(this.#verification);
	}

	#verifyNext(verification: Verification): void {
		const { recovered, refusal, host } = this.#upkeep;
		const { manifest } = recovered;
		let task = verification.waiting.shift();
		while (task !== undefined && !isLive(task, manifest.state, manifest.number)) task = verification.waiting.shift();
		const { isRolling } = this.#edits.roller;
		verification.isPutOff = task === undefined && verification.isManifestDue && isRolling && refusal === undefined;
		if (verification.isPutOff) return;
		// After a failure of the log, a roll under way may be half written: the old manifest is what counts.
		if (task === undefined && verification.isManifestDue && !isRolling) {
			task = { what: 'manifest', number: manifest.number };
			verification.isManifestDue = false;
		}
		if (task !== undefined) {
			host.submitJob({ kind: 'verify', task });
			return;
		}
		this.#verification = undefined;
		const { directory } = this.#upkeep;
		const { durableSequence } = verification;
		const facts = verification.facts.filter((fact) => isLive(fact.task, manifest.state, manifest.number));
		verification.onDone(judge(directory, facts, manifest.state.flushedSequence, durableSequence), undefined);
	}

	#onVerified(facts: FileFacts | undefined, failure: JobFailure | undefined): void {
		const verification = this.#verification;
		if (verification === undefined) return;
		if (facts !== undefined) {
			verification.facts.push(facts);
			const { manifest } = this.#upkeep.recovered;
			// It rolled on meanwhile: the new one is to be checked.
			if (facts.task.what === 'manifest' && facts.task.number !== manifest.number) verification.isManifestDue = true;
			this.#verifyNext(verification);
			return;
		}
		this.#verification = undefined;
		verification.onDone(undefined, errorOf('a file could not be verified', failure));
	}

	#onCheckpointDone(result: CheckpointResult | undefined, failure: JobFailure | undefined): void {
		const onDone = this.#onCheckpointed;
		this.#onCheckpointed = undefined;
		this.#edits.holdRemovals(false);
		if (result !== undefined) onDone?.(result, undefined);
		else onDone?.(undefined, errorOf('the checkpoint could not be made', failure));
	}

	#onReservePrepared(failure: JobFailure | undefined): void {
		if (failure !== undefined && failure.systemCode !== 'ENOSPC') {
			this.#upkeep.onJobFailed('the reserve file could not be made', failure);
		}
		this.#upkeep.disk.onReservePrepared(failure !== undefined);
	}
}

/** Nothing of the partition itself is touched by such a failure: whoever asked is told, and that is all. */
function errorOf(what: string, failure: JobFailure | undefined): MillraceError {
	const { code, systemCode, message } = failure ?? { code: undefined, systemCode: '', message: 'nobody said why' };
	const fallback = systemCode === 'ENOSPC' ? 'MILLRACE_DISK_FULL' : 'MILLRACE_DIRECTORY';
	return new MillraceError(code ?? (systemCode === '' ? 'MILLRACE_INTERNAL' : fallback), `${what}: ${message}`);
}
