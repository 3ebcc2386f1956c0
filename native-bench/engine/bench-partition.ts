/**
 * One partition as an embedded caller in its own thread would use it: commands are encoded and given to it one at a time, and
 * every so many the group is handed to the log thread, as the partition's loop does after a drain.
 *
 *   put ─> prepareWrite ─ (no room: sleep until a job is done) ─> write ─ (group full) ─> log ring ─> log thread
 */
import { codeOf, statusNotFound, statusOk } from '../../src/base/errors.js';
import { registerShared } from '../../src/base/word-copy.js';
import { commandHeaderSize, encodeCommand, opGet, opPut } from '../../src/command/command-format.js';
import { type ScanRange, wholeRange } from '../../src/command/scan-options.js';
import { CommandResult } from '../../src/storage/lsm/apply/command-result.js';
import type { Partition } from '../../src/storage/lsm/partition.js';
import type { Job } from '../../src/storage/lsm/upkeep/jobs.js';
import { statusWait } from '../../src/storage/lsm/upkeep/maintenance.js';
import type { JobOutcome } from '../../workers/background-worker.js';
import type { RingHost } from '../../workers/partition-host.js';
import { encodeKey, keySize, valueSize } from './workload.js';

const noBytes = new Uint8Array(0);
const commandBytes = commandHeaderSize + keySize + valueSize;
const holdSliceMsMax = 5;
const quietCheckMs = 5;
/** Checks in a row without a job before compaction is taken for settled. */
const quietCheckCount = 10;

export class BenchPartition {
	readonly partition: Partition;
	readonly #host: RingHost;
	readonly #groupCount: number;
	readonly #result = new CommandResult();
	/** The command under way; shared and registered, so that it is copied by words, as from a ring. */
	readonly #command = new Uint8Array(new SharedArrayBuffer(1024));
	readonly #key = new Uint8Array(keySize);
	readonly #readValue = new Uint8Array(1024);
	/** From the key on. */
	readonly #range: ScanRange;
	#groupedCount = 0;
	flushedBytes = 0;
	compactedBytes = 0;
	/** Milliseconds that puts waited because they were slowed or had no room: together, and at once. */
	stallMs = 0;
	stallMsMax = 0;

	constructor(host: RingHost, groupCount: number) {
		this.#host = host;
		this.partition = host.partition;
		this.#groupCount = groupCount;
		this.#range = { ...wholeRange, lower: this.#key, isLowerInclusive: true };
		registerShared(this.#command);
		this.partition.begin(Date.now());
	}

	put(number: number, values: Uint8Array, valueOffset: number): void {
		const { partition } = this;
		encodeKey(number, this.#key, 0);
		encodeCommand(this.#command, 0, opPut, 0, 0, this.#key, 0, keySize, values, valueOffset, valueSize);
		const hash = partition.hashOf(this.#command, 0);
		let status = partition.prepareWrite(hash, this.#command, 0);
		if (status === statusWait) {
			const startMs = performance.now();
			while (status === statusWait) {
				this.#waitForProgress();
				status = partition.prepareWrite(hash, this.#command, 0);
			}
			this.#noteStall(startMs);
		}
		if (status !== statusOk) throw new Error(`put: ${codeOf(status)}: ${partition.maintenance.explain(status)}`);
		partition.write(hash, this.#command, 0, this.#result);
		if (++this.#groupedCount >= this.#groupCount) this.#endGroup();
	}

	/** @returns true when the key was there; its value was copied out */
	get(number: number): boolean {
		encodeKey(number, this.#key, 0);
		encodeCommand(this.#command, 0, opGet, 0, 0, this.#key, 0, keySize, noBytes, 0, 0);
		const result = this.#result;
		this.partition.read(this.partition.hashOf(this.#command, 0), this.#command, 0, result);
		if (result.status === statusNotFound) return false;
		if (result.status !== statusOk) throw new Error(`get: ${codeOf(result.status)}`);
		const { payload, payloadOffset, payloadSize } = result;
		this.#readValue.set(payload.subarray(payloadOffset, payloadOffset + payloadSize));
		return payloadSize === valueSize;
	}

	/** A cursor to the first key at or behind this one, and its entry read. @returns true when it is this very key */
	seek(number: number): boolean {
		const key = this.#key;
		encodeKey(number, key, 0);
		const cursor = this.partition.cursor();
		cursor.start(noBytes, this.#range);
		let isFound = false;
		while (!cursor.isAtEnd && !cursor.step());
		if (!cursor.isAtEnd) {
			const { entry } = cursor;
			this.#readValue.set(entry.value.subarray(entry.valueOffset, entry.valueOffset + entry.valueSize));
			isFound = true;
			for (let i = 0; i < keySize; i++) if (entry.key[entry.keyOffset + i] !== key[i]) isFound = false;
		}
		cursor.close();
		return isFound;
	}

	/** Walks entries in order, each looked at. @returns how many there were, at most `countMax` */
	walk(countMax: number): number {
		const cursor = this.partition.cursor();
		cursor.start();
		let count = 0;
		let byteSum = 0;
		while (!cursor.isAtEnd && count < countMax) {
			if (!cursor.step()) continue;
			const { entry } = cursor;
			byteSum += entry.key[entry.keyOffset] + entry.value[entry.valueOffset] + entry.valueSize;
			count++;
			cursor.pass();
		}
		cursor.close();
		if (byteSum < count * valueSize) throw new Error('walk: values are missing');
		return count;
	}

	/** Waits until no flush, compaction or other job is under way or will be wanted when time passes. */
	settle(): void {
		const { mail, bell } = this.#host.parts;
		for (let quiet = 0; quiet < quietCheckCount; ) {
			this.#handOver();
			bell.sleep(() => this.#host.hasNews(), quietCheckMs);
			this.#handOver();
			const isQuiet = mail.pendingCount === 0 && this.partition.maintenance.tickDelayMs(Date.now()) === undefined;
			quiet = isQuiet ? quiet + 1 : 0;
		}
	}

	get statistics(): Record<string, unknown> {
		return this.partition.statistics();
	}

	get tableBytes(): number {
		return Number(this.statistics.tableBytes);
	}

	/** Flushes, and compacts everything into the last level. @returns bytes of tables then */
	compactAll(): number {
		const { partition } = this;
		while (partition.maybeRotate() === statusWait) this.#waitForProgress();
		this.settle();
		let isDone = false;
		const none = new Uint8Array(0);
		partition.maintenance.compactRange(none, none, (_, failure) => {
			if (failure !== undefined) throw failure;
			isDone = true;
		});
		while (!isDone) this.#waitForProgress();
		this.settle();
		return this.tableBytes;
	}

	/** Sleeps until a job is done or the log has moved. */
	#waitForProgress(): void {
		this.#handOver();
		this.#host.sleepForProgress();
		this.#handOver();
	}

	/** What the loop does after a drain; then waits as long as writes are slowed. */
	#endGroup(): void {
		const { maintenance } = this.partition;
		const bytes = this.#groupedCount * commandBytes;
		this.#groupedCount = 0;
		this.#handOver();
		let delayMs = maintenance.writeDelayMs(bytes, Date.now());
		if (delayMs === 0) return;
		const startMs = performance.now();
		while (delayMs > 0) {
			this.#host.sleepForProgress(() => false, Math.min(delayMs, holdSliceMsMax));
			this.#handOver();
			delayMs = maintenance.writeDelayMs(0, Date.now());
		}
		this.#noteStall(startMs);
	}

	#noteStall(startMs: number): void {
		const stallMs = performance.now() - startMs;
		this.stallMs += stallMs;
		this.stallMsMax = Math.max(this.stallMsMax, stallMs);
	}

	/** Gives the log what there is, and takes news. */
	#handOver(): void {
		const { partition } = this;
		partition.finishGroup();
		this.#host.queue.publish();
		const nowMs = Date.now();
		partition.begin(nowMs);
		this.#host.takeNews(this.#onJobTaken);
		partition.maintenance.tick(nowMs);
	}

	readonly #onJobTaken = ({ result, failure }: JobOutcome, job: Job): void => {
		if (failure !== undefined) throw new Error(`a job failed: ${failure.message}`);
		const bytes =
			result !== undefined && 'tables' in result ? result.tables.reduce((sum, { size }) => sum + size, 0) : 0;
		if (job.kind === 'flush') this.flushedBytes += bytes;
		else if (job.kind === 'compact') this.compactedBytes += bytes;
	};
}
