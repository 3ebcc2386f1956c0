/**
 * Snapshots over all partitions, for one thread: each pins one sequence in every partition, all at one cut.
 *
 *   acquire ─ gate: a new epoch ─ opSnapshot(epoch) to every partition ─ their sequences: a handle ─ close ─ opReleaseSnapshot
 *
 * Why that is one cut: database-memory.ts. The partitions notice an epoch before they apply what was asked for after it began, so
 * the cut is made when the epoch begins, and the sequences are heard of later: `acquireSoon` uses that, for callers that cannot
 * wait (abstract-level's `snapshot()`).
 *
 * What is pinned belongs to a `Pins`, which its handle, a scan or the collector's finalizer releases, once. A release that
 * cannot be delivered is nobody's loss: the partition is gone, or its age limit does it.
 */
import { hasCode, MillraceError } from '../base/errors.js';
import { callerStack } from '../command/caller-stack.js';
import { flagArgument, opReleaseSnapshot, opSnapshot } from '../command/command-format.js';
import { SnapshotHandle } from '../command/snapshot-handle.js';
import type { Snapshot } from '../command/store.js';
import type { Asker } from './asker.js';
import type { EpochGate } from './epoch-gate.js';

/** A clear between the cut and its pinning lets go of all that is pinned; then another cut is made. */
const attemptCountMax = 4;

/** One sequence pinned in each partition, or being pinned. */
export class Pins {
	/** By partition; empty until they are known. */
	readonly sequences: number[] = [];
	readonly #asker: Asker;
	#isReleased = false;

	constructor(asker: Asker) {
		this.#asker = asker;
	}

	/** They are pinned. Released at once, if `release` came first. */
	fill(sequences: readonly number[]): void {
		if (this.#isReleased) releasePinned(this.#asker, sequences);
		else this.sequences.push(...sequences);
	}

	/** Lets go, now or when they are known. Again does nothing. */
	release(): void {
		if (this.#isReleased) return;
		this.#isReleased = true;
		releasePinned(this.#asker, this.sequences);
	}
}

export class DatabaseSnapshot extends SnapshotHandle {
	readonly owner: Snapshots;
	/**
	 * undefined: the cut is made, what is written from now on is not in the snapshot. Else it was asked for by `acquireSoon`
	 * while a batch over several partitions was under way, and is made when this resolves.
	 */
	readonly cut: Promise<void> | undefined;
	/** Resolves when it can be read at. @throws what kept it from being made */
	readonly ready: Promise<void>;

	constructor(
		owner: Snapshots,
		pins: Pins,
		cut: Promise<void> | undefined,
		ready: Promise<void>,
		warn: (text: string) => void,
		stack: string,
	) {
		super(pins.sequences, () => pins.release(), warn, stack);
		this.owner = owner;
		this.cut = cut;
		this.ready = ready;
	}
}

const done = Promise.resolve();

export class Snapshots {
	readonly #asker: Asker;
	readonly #gate: EpochGate;
	#end: MillraceError | undefined;
	/** Nothing is kept for a snapshot of a closed database. */
	readonly #warn = (text: string): void => {
		if (this.#end === undefined) process.emitWarning(text, 'MillraceSnapshotWarning');
	};

	constructor(asker: Asker, gate: EpochGate) {
		this.#asker = asker;
		this.#gate = gate;
	}

	/**
	 * Pins what is stored now, in all partitions at one cut.
	 * @throws MILLRACE_BUSY when a partition holds too many; MILLRACE_CLOSED, MILLRACE_WORKER_DIED
	 */
	async acquire(): Promise<DatabaseSnapshot> {
		const stack = callerStack(this.acquire);
		const pins = new Pins(this.#asker);
		await this.pin(pins);
		return new DatabaseSnapshot(this, pins, undefined, done, this.#warn, stack);
	}

	/** As `acquire`, at once: it can be read at when its `ready` resolves, and fails there. Closing it before that is fine. */
	acquireSoon(): DatabaseSnapshot {
		const stack = callerStack(this.acquireSoon);
		const pins = new Pins(this.#asker);
		const epoch = this.#gate.maybeNewEpoch();
		const cut = epoch === undefined ? this.#gate.newEpoch() : undefined;
		const ready = cut === undefined ? this.pin(pins, epoch) : cut.then((later) => this.pin(pins, later));
		// Whoever reads with it hears of it.
		ready.catch(() => undefined);
		return new DatabaseSnapshot(this, pins, cut?.then(ignore, ignore), ready, this.#warn, stack);
	}

	/**
	 * Where to read in a partition.
	 * @throws TypeError for what is no snapshot of this database object; MILLRACE_SNAPSHOT when it is closed, or not ready yet
	 */
	sequenceAt(snapshot: Snapshot, partition: number): number {
		const ours = this.mustBeOurs(snapshot);
		if (ours.isClosed) throw new MillraceError('MILLRACE_SNAPSHOT', 'the snapshot was closed');
		const sequence = ours.sequences[partition];
		if (sequence !== undefined) return sequence;
		throw new MillraceError('MILLRACE_SNAPSHOT', 'the snapshot cannot be read at yet: await its `ready`');
	}

	/** @throws TypeError for what is no snapshot of this database object */
	mustBeOurs(snapshot: Snapshot): DatabaseSnapshot {
		if (snapshot instanceof DatabaseSnapshot && snapshot.owner === this) return snapshot;
		throw new TypeError('snapshot is one that this database object made');
	}

	/** Fills the pins at a cut. @param epoch one that began already; undefined: a new one */
	async pin(pins: Pins, epoch?: number): Promise<void> {
		let attempt = epoch ?? (await this.#gate.newEpoch());
		for (let count = 1; ; count++) {
			try {
				pins.fill(await this.#pinAll(attempt));
				return;
			} catch (error) {
				if (!hasCode(error, 'MILLRACE_SNAPSHOT') || count === attemptCountMax) throw error;
			}
			attempt = await this.#gate.newEpoch();
		}
	}

	/** The database is closed, or nothing will answer any more. */
	end(error: MillraceError): void {
		this.#end ??= error;
	}

	/** All or none. @returns the sequences by partition */
	async #pinAll(epoch: number): Promise<number[]> {
		const asks: Promise<number>[] = [];
		for (let partition = 0; partition < this.#asker.partitionCount; partition++)
			asks.push(this.#pinIn(partition, epoch));
		const outcomes = await Promise.allSettled(asks);
		const failed = outcomes.find((outcome) => outcome.status === 'rejected');
		const sequences = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : undefined));
		if (failed === undefined) return sequences as number[];
		releasePinned(this.#asker, sequences);
		throw failed.reason;
	}

	async #pinIn(partition: number, epoch: number): Promise<number> {
		const command = { opcode: opSnapshot, flags: flagArgument, argument: epoch };
		const { number } = await this.#asker.ask(partition, command);
		return number;
	}
}

/** @param sequences by partition; undefined: nothing is pinned there */
function releasePinned(asker: Asker, sequences: readonly (number | undefined)[]): void {
	for (const [partition, sequence] of sequences.entries()) {
		if (sequence !== undefined) void releaseIn(asker, partition, sequence);
	}
}

async function releaseIn(asker: Asker, partition: number, sequence: number): Promise<void> {
	try {
		await asker.ask(partition, { opcode: opReleaseSnapshot, flags: flagArgument, argument: sequence });
	} catch {
		// Closed, or died: then nothing is pinned any more either.
	}
}

function ignore(): void {
	// What became of it is told elsewhere.
}
