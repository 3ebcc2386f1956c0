/**
 * What a partition's thread and main tell each other by message: jobs and notes one way, outcomes the other. Rare, and read
 * without an event loop: main counts its messages in a shared word, and the thread looks into the port only when it changed.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type MailToMain, type MailToPartition, sharedMailWord } from '../src/command/worker-boot.js';
import type { Job } from '../src/storage/lsm/upkeep/jobs.js';
import type { JobOutcome } from './background-worker.js';

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

	/** True when outcomes have come that were not taken. Reads shared memory: fit for sleep re-checks. */
	get hasNews(): boolean {
		return Atomics.load(this.#words, sharedMailWord) !== this.#seen;
	}

	/** Jobs whose outcome was not taken yet. */
	get pendingCount(): number {
		return this.#jobs.size;
	}

	/** Visits the outcomes that have come. @returns false when there were none */
	take(visit: (job: Job, outcome: JobOutcome) => void): boolean {
		const count = Atomics.load(this.#words, sharedMailWord);
		if (count === this.#seen) return false;
		this.#seen = count;
		for (;;) {
			const received = receiveMessageOnPort(this.#port) as { message: MailToPartition } | undefined;
			if (received === undefined) return true;
			if (received.message.type !== 'outcome') continue;
			const { id, outcome } = received.message;
			const job = this.#jobs.get(id);
			this.#jobs.delete(id);
			if (job !== undefined) visit(job, outcome as JobOutcome);
		}
	}

	#post(message: MailToMain): void {
		this.#port.postMessage(message);
	}
}
