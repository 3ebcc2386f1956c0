/**
 * Runs one partition over a file system in one thread, with a say in the order of everything that happens beside it:
 *
 *   execute ─> Partition ─> queue (bounded) ─runLog─> LogExecutor ─> publish: held replies leave
 *                      └──> jobs ─runJobs, any order─> runJob ─> onJobDone
 *
 * A reply that depends on a sequence not yet reached is held, and leaves only when the executor publishes past it, as in
 * workers/partition-loop.ts. After a log failure nothing more leaves. Everything runs on the calling thread.
 */
import { assert } from '../../src/base/assert.js';
import { hasCode, MillraceError, statusOk } from '../../src/base/errors.js';
import type { Prng } from '../../src/base/prng.js';
import { isRead, opDecide, replyMessage } from '../../src/command/command-format.js';
import { wholeRange } from '../../src/command/scan-options.js';
import type { Durability } from '../../src/command/worker-boot.js';
import type { FileSystem } from '../../src/env/ports.js';
import { CommandResult } from '../../src/storage/lsm/apply/command-result.js';
import type { LogQueue } from '../../src/storage/lsm/log-queue.js';
import { Partition, type PartitionHost } from '../../src/storage/lsm/partition.js';
import type { PartitionOptions } from '../../src/storage/lsm/partition-options.js';
import type { StorageMemory } from '../../src/storage/lsm/shared/storage-memory.js';
import { type Job, type JobFailure, type JobResult, jobFailureOf, runJob } from '../../src/storage/lsm/upkeep/jobs.js';
import { statusWait } from '../../src/storage/lsm/upkeep/maintenance.js';
import { LogExecutor } from '../../src/storage/lsm/wal/log-executor.js';
import type { ModelEntry } from './partition-model.js';
import { type Answer, commandBytes, type TestCommand } from './test-command.js';

/** Small enough that a hundred commands rotate, flush, merge and recycle. */
export const smallOptions: Partial<PartitionOptions> = {
	memtableSize: 16 * 1024,
	segmentSize: 4096,
	blockSize: 512,
	blockCacheSize: 64 * 1024,
	reserveFileSize: 0,
	// A few hundred commands fill three levels.
	tableFileSize: 2048,
	baseLevelSize: 4096,
	levelSizeRatio: 3,
};

/** A log queue in memory; what `reserve` lends is full of old bytes, as in a ring. */
class MemoryLogQueue implements LogQueue {
	target: Uint8Array = Buffer.allocUnsafeSlow(1 << 20);
	readonly published: Uint8Array[] = [];
	#ended: Uint8Array[] = [];
	readonly #countMax: number;
	#reservedSize = -1;
	static readonly #offset = 24;

	constructor(countMax: number) {
		this.#countMax = countMax;
	}

	reserve(size: number): number {
		assert(this.#reservedSize < 0, 'one reservation at a time');
		if (this.published.length + this.#ended.length >= this.#countMax) return -1;
		if (size + 64 > this.target.length) this.target = new Uint8Array(size + 64);
		this.target.fill(0xcd, 0, Math.min(size + 64, 4096));
		this.#reservedSize = size;
		return MemoryLogQueue.#offset;
	}

	commit(size = this.#reservedSize): void {
		assert(this.#reservedSize >= size, `message of ${size} in ${this.#reservedSize} reserved bytes`);
		// A copy: `slice` of a Buffer would be a view.
		this.#ended.push(new Uint8Array(this.target.subarray(0, MemoryLogQueue.#offset + size)));
		this.#reservedSize = -1;
	}

	publish(): void {
		this.published.push(...this.#ended);
		this.#ended = [];
	}

	/** Carries out the oldest message. */
	take(executor: LogExecutor): void {
		const message = this.published.shift();
		assert(message !== undefined, 'a message is there');
		executor.accept(message, MemoryLogQueue.#offset, message.length - MemoryLogQueue.#offset);
	}
}

export interface HarnessOptions {
	readonly directory?: string;
	readonly durability?: Durability;
	readonly partition?: Partial<PartitionOptions>;
	/** Messages the log queue holds. */
	readonly queueCountMax?: number;
	/** A reply left that depends on sequences up to this one. */
	readonly onReply?: (sequence: number) => void;
	readonly nowMs?: number;
	/** What readers in other threads share with the partition. */
	readonly memory?: StorageMemory;
}

export interface Reply extends Answer {
	/** Newest sequence the reply says it depends on. */
	readonly sequence: number;
	/** True once the asker has it. */
	hasLeft: boolean;
}

export class PartitionHarness implements PartitionHost {
	readonly queue: MemoryLogQueue;
	readonly partition: Partition;
	readonly jobs: Job[] = [];
	/** What the partition told a person. */
	readonly notes: string[] = [];
	/** Set when the log failed. */
	logError: unknown;
	/** Sequences up to this one are as durable as asked for. */
	reachedSequence: number;
	/** What the clock shows; it may step back. */
	nowMs: number;
	/** Time of the drain under way: never runs backwards. */
	drainMs: number;
	readonly executor: LogExecutor;
	/** Jobs so far that turn an old segment into a new one. */
	recycleCount = 0;
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #onReply: (sequence: number) => void;
	readonly #result = new CommandResult();
	#held: { position: number; reply: Reply }[] = [];
	#position = 0;
	#needsMarker = false;
	#editCount = 0;
	#isInDrain = false;

	constructor(fileSystem: FileSystem, options: HarnessOptions = {}) {
		this.#fileSystem = fileSystem;
		this.#directory = options.directory ?? '/data';
		this.#onReply = options.onReply ?? (() => undefined);
		this.queue = new MemoryLogQueue(options.queueCountMax ?? 64);
		this.executor = new LogExecutor(fileSystem, this.#directory, options.durability ?? 'always', {
			publish: (position) => this.#publish(position),
			reached: (sequence) => {
				assert(sequence >= this.reachedSequence, 'what was reached stays reached');
				this.reachedSequence = sequence;
			},
			edited: () => this.#editCount++,
			forget: () => undefined,
		});
		this.nowMs = options.nowMs ?? 0;
		const partitionOptions = { ...smallOptions, ...options.partition };
		this.partition = new Partition(fileSystem, this.#directory, this, partitionOptions, undefined, options.memory);
		this.reachedSequence = this.partition.lastSequence;
		this.drainMs = this.partition.recovery.lastTimestampMs;
	}

	// --- the host -----------------------------------------------------------------------------------

	commitPosition(): number {
		return this.#position;
	}

	clockMs(): number {
		return this.nowMs;
	}

	note(text: string): void {
		this.notes.push(text);
	}

	submitJob(job: Job): void {
		if (job.kind === 'prepareSegment' && job.recycledId !== undefined) this.recycleCount++;
		this.jobs.push(structuredClone(job));
	}

	waitForLog(): void {
		this.queue.publish();
		this.runLog();
		if (this.logError !== undefined) throw this.logError;
	}

	// --- commands -----------------------------------------------------------------------------------

	/** Does a command as part of the present drain; the first one begins a drain. */
	execute(command: TestCommand): Reply {
		const bytes = commandBytes(command, 5);
		this.#beginDrain();
		const hash = this.partition.hashOf(bytes, 5);
		if (isRead(command.opcode)) {
			this.partition.read(hash, bytes, 5, this.#result);
			return this.#reply();
		}
		let status = this.partition.prepareWrite(hash, bytes, 5);
		while (status === statusWait) {
			this.#waitForProgress();
			status = this.partition.prepareWrite(hash, bytes, 5);
		}
		if (status === statusOk) this.partition.write(hash, bytes, 5, this.#result);
		else this.#fail(status);
		return this.#reply();
	}

	/** Does a write given as bytes. @returns undefined when it waits for a batch over several partitions to be decided */
	maybeExecute(bytes: Uint8Array, offset: number): Reply | undefined {
		this.#beginDrain();
		const hash = this.partition.hashOf(bytes, offset);
		let status = this.partition.prepareWrite(hash, bytes, offset);
		while (status === statusWait) {
			if (bytes[offset] !== opDecide && this.partition.transactions.count > 0) return undefined;
			this.#waitForProgress();
			status = this.partition.prepareWrite(hash, bytes, offset);
		}
		if (status === statusOk) this.partition.write(hash, bytes, offset, this.#result);
		else this.#fail(status);
		return this.#reply();
	}

	/** Hands the drain's group to the log, which does not see to it yet. */
	endDrain(): void {
		if (this.logError === undefined) {
			if (this.#needsMarker) this.partition.putMarker();
			else this.partition.finishGroup();
			this.#needsMarker = false;
			this.queue.publish();
		}
		this.#isInDrain = false;
	}

	/** Everything alive, by a cursor: from the start or after a key, as stored now or at a snapshot, forward or in reverse. */
	scan(after = '', snapshot?: number, isReverse = false): [string, ModelEntry][] {
		this.#beginDrain();
		const cursor = this.partition.cursor(snapshot);
		const found: [string, ModelEntry][] = [];
		cursor.start(Buffer.from(after, 'latin1'), { ...wholeRange, isReverse });
		while (!cursor.isAtEnd) {
			if (!cursor.step()) continue;
			const { entry } = cursor;
			const text = (bytes: Uint8Array, offset: number, size: number): string =>
				Buffer.from(bytes.subarray(offset, offset + size)).toString('latin1');
			found.push([
				text(entry.key, entry.keyOffset, entry.keySize),
				{
					value: text(entry.value, entry.valueOffset, entry.valueSize),
					expiresAtMs: entry.expiresAtMs,
					version: entry.sequence,
				},
			]);
			cursor.pass();
		}
		cursor.close();
		return found;
	}

	/** Pins what is stored now. */
	acquireSnapshot(): number {
		this.#beginDrain();
		return this.partition.acquireSnapshot();
	}

	/** Waits until a flush of everything applied so far is installed. */
	flush(): void {
		this.#beginDrain();
		while (this.partition.maybeRotate() === statusWait) this.#waitForProgress();
		this.settle();
	}

	/** Compacts [start, end) and everything else that is to be done. Empty: without that bound. */
	compact(start: string, end: string): void {
		let outcome: unknown;
		this.#beginDrain();
		const bounds = [Buffer.from(start, 'latin1'), Buffer.from(end, 'latin1')] as const;
		this.partition.maintenance.compactRange(...bounds, (_, failure) => {
			outcome = failure ?? 'done';
		});
		this.settle();
		assert(outcome === 'done' || this.logError !== undefined, `the compaction ended: ${String(outcome)}`);
	}

	// --- what happens beside it ---------------------------------------------------------------------

	/** Carries out published log messages, all or some, and commits once: a batch of the log thread. */
	runLog(count = this.queue.published.length): void {
		if (this.logError !== undefined || count === 0) return;
		try {
			for (let i = 0; i < count && this.queue.published.length > 0; i++) this.queue.take(this.executor);
			this.executor.commit();
		} catch (error) {
			this.logError = error;
			this.partition.maintenance.refuseWrites(
				hasCode(error, 'MILLRACE_CORRUPT') ? error : new MillraceError('MILLRACE_POISONED', String(error)),
			);
		}
	}

	/** Does one waiting job: the oldest, or any by chance. @returns false when there is none */
	runJob(prng?: Prng): boolean {
		const [job] = this.jobs.splice(prng ? prng.below(this.jobs.length) : 0, 1);
		if (job === undefined) return false;
		let result: JobResult;
		let error: JobFailure | undefined;
		try {
			result = runJob(this.#fileSystem, this.#directory, job);
		} catch (thrown) {
			error = jobFailureOf(thrown);
		}
		if (this.logError === undefined) this.partition.maintenance.onJobDone(job, result, error);
		return true;
	}

	/** Ends the drain and does everything there is to do. */
	settle(): void {
		this.endDrain();
		do {
			this.queue.publish();
			this.runLog();
			this.takeNews();
		} while (this.runJob() || (this.logError === undefined && this.queue.published.length > 0));
	}

	/** The partition hears which edits are durable. */
	takeNews(): void {
		if (this.logError === undefined) this.partition.maintenance.onEditsDone(this.#editCount);
	}

	/** An orderly end: jobs under way are left alone, the log is sealed. */
	close(): void {
		this.endDrain();
		if (this.logError === undefined) {
			this.partition.putStop();
			this.queue.publish();
			this.runLog();
		}
		this.partition.close();
	}

	/** The process is gone; what the log did not get is lost. */
	abandon(): void {
		this.partition.close();
	}

	#beginDrain(): void {
		if (this.#isInDrain) return;
		this.#isInDrain = true;
		this.drainMs = Math.max(this.drainMs, this.nowMs);
		this.partition.begin(this.nowMs);
		this.takeNews();
		this.partition.maintenance.tick(this.nowMs);
	}

	#waitForProgress(): void {
		this.endDrain();
		this.#isInDrain = true;
		const before = this.queue.published.length;
		this.runLog();
		this.takeNews();
		const hasWorked = this.runJob() || before > 0;
		this.queue.publish();
		this.partition.maintenance.tick(this.nowMs);
		assert(hasWorked || this.queue.published.length > 0, 'a write waits, and nothing is under way');
	}

	#fail(status: number): void {
		this.#result.reset();
		this.#result.status = status;
		this.#result.kind = replyMessage;
	}

	#reply(): Reply {
		const result = this.#result;
		const { payload, payloadOffset, payloadSize } = result;
		const isMessage = result.kind === replyMessage;
		const bytes = payload.subarray(payloadOffset, payloadOffset + payloadSize);
		const reply: Reply = {
			status: result.status,
			kind: result.kind,
			number: result.number,
			text: isMessage ? '' : Buffer.from(bytes).toString('latin1'),
			sequence: result.observedSequence,
			hasLeft: false,
		};
		if (reply.sequence <= this.reachedSequence) {
			this.#leave(reply);
		} else if (this.logError === undefined) {
			this.#position++;
			this.#held.push({ position: this.#position, reply });
			this.#needsMarker = true;
		}
		return reply;
	}

	#leave(reply: Reply): void {
		reply.hasLeft = true;
		this.#onReply(reply.sequence);
	}

	#publish(position: number): void {
		while (this.#held.length > 0 && this.#held[0].position <= position) {
			const held = this.#held.shift();
			if (held !== undefined) this.#leave(held.reply);
		}
	}
}
