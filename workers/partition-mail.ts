/**
 * What a partition's thread and main tell each other by message: jobs, notes and changes of state one way, outcomes and channels
 * the other. Rare, and read without an event loop: main counts its messages in a shared word, and the thread looks into the port
 * only when it changed.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { MillraceError } from '../src/base/errors.js';
import { type MailToMain, type MailToPartition, sharedMailWord } from '../src/command/worker-boot.js';
import type { Job } from '../src/storage/lsm/upkeep/jobs.js';
import type { JobOutcome } from './background-worker.js';

/** A channel comes or goes. */
export type ChannelMail = Extract<MailToPartition, { readonly type: 'attach' | 'detach' }>;

export class PartitionMail {
	readonly #port: MessagePort;
	readonly #words: Int32Array<SharedArrayBuffer>;
	readonly #directory: string;
	readonly #jobs = new Map<number, Job>();
	#nextJobId = 1;
	#seen = 0;

	constructor(port: MessagePort, shared: SharedArrayBuffer, directory: string) {
		this.#port = port;
		this.#words = new Int32Array(shared);
		this.#directory = directory;
	}

	submitJob(job: Job): void {
		const id = this.#nextJobId++;
		this.#jobs.set(id, job);
		this.#post({ type: 'job', id, directory: this.#directory, job });
	}

	/** A line for a person. */
	note(text: string): void {
		this.#post({ type: 'note', text });
	}

	/** The log failed: writes are refused until the database is opened again. */
	poisoned({ code, message }: MillraceError): void {
		this.#post({ type: 'poisoned', error: { code, message } });
	}

	/** Puts are refused for want of space, or are taken again. */
	diskFull(isFull: boolean): void {
		this.#post({ type: 'diskFull', isFull });
	}

	/** How far the recovery is. */
	progress(step: 'tables' | 'log', done: number, total: number): void {
		this.#post({ type: 'progress', step, done, total });
	}

	/** The channel is forgotten. */
	detached(channel: number): void {
		this.#post({ type: 'detached', channel });
	}

	/** True when mail has come that was not taken. Reads shared memory: fit for sleep re-checks. */
	get hasNews(): boolean {
		return Atomics.load(this.#words, sharedMailWord) !== this.#seen;
	}

	/** Jobs whose outcome was not taken yet. */
	get pendingCount(): number {
		return this.#jobs.size;
	}

	/**
	 * Takes what has come. When a call throws, what came behind it is taken the next time.
	 * @param visit for each outcome @returns false when nothing has come
	 */
	take(visit: (job: Job, outcome: JobOutcome) => void, visitChannel: (mail: ChannelMail) => void): boolean {
		const count = Atomics.load(this.#words, sharedMailWord);
		if (count === this.#seen) return false;
		for (;;) {
			const received = receiveMessageOnPort(this.#port) as { message: MailToPartition } | undefined;
			if (received === undefined) break;
			const { message } = received;
			if (message.type === 'outcome') this.#takeOutcome(message.id, message.outcome as JobOutcome, visit);
			else visitChannel(message);
		}
		this.#seen = count;
		return true;
	}

	#takeOutcome(id: number, outcome: JobOutcome, visit: (job: Job, outcome: JobOutcome) => void): void {
		const job = this.#jobs.get(id);
		this.#jobs.delete(id);
		if (job !== undefined) visit(job, outcome);
	}

	#post(message: MailToMain): void {
		this.#port.postMessage(message);
	}
}
