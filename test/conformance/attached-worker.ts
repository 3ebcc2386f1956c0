/**
 * A thread of an application that attaches to databases of the thread that started it, and runs the conformance suite on them. It
 * asks for each database, and carries out one test for each title it is told:
 *
 *   parent ── { run: title } ──> worker ── { make } ──> parent opens a database ── { made: attachment } ──> attach()
 *          <── { done: title, error } ──     { drop } ──> parent closes it
 */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from '../../src/attach.js';
import type { Attachment } from '../../src/index.js';
import { ConformanceRun } from './conformance.js';
import { openAt } from './database-subject.js';
import type { Subject } from './subject.js';

export type ToWorker =
	| { readonly type: 'run'; readonly title: string }
	| { readonly type: 'end' }
	| { readonly type: 'made'; readonly database: number; readonly path: string; readonly attachment: Attachment }
	| { readonly type: 'dropped'; readonly database: number };

export type FromWorker =
	| { readonly type: 'make' }
	/** Another attachment to a database that was made. */
	| { readonly type: 'again'; readonly database: number }
	| { readonly type: 'drop'; readonly database: number }
	| { readonly type: 'done'; readonly title: string; readonly error: string | undefined }
	| { readonly type: 'ended' };

if (parentPort === null) throw new Error('this is a worker');
const port = parentPort;
const partitions = Number(workerData);

/** Questions to the parent are asked one at a time: tests run one after another. */
let onAnswer: (answer: ToWorker) => void = () => undefined;

function ask(question: FromWorker): Promise<ToWorker> {
	return new Promise((resolve) => {
		onAnswer = resolve;
		port.postMessage(question);
	});
}

async function attachTo(question: FromWorker): Promise<Subject> {
	const made = await ask(question);
	if (made.type !== 'made') throw new Error(`the parent answered '${made.type}'`);
	const { database, path, attachment } = made;
	const store = await attach(attachment);
	let isGone = false;
	return {
		store,
		close: async () => {
			await store.close();
			if (!isGone) await ask({ type: 'drop', database });
			isGone = true;
		},
		reopen: async () => {
			await store.close();
			isGone = true;
			return attachTo({ type: 'again', database });
		},
		newPath: (name) => join(path, name),
		openCopy: (directory) => openAt(directory, { partitions }),
	};
}

const run = new ConformanceRun(`attached thread, ${partitions} partitions`, () => attachTo({ type: 'make' }), 15);

async function runTest(title: string): Promise<void> {
	let error: string | undefined;
	try {
		await run.run(title);
	} catch (thrown) {
		error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
	}
	port.postMessage({ type: 'done', title, error } satisfies FromWorker);
}

async function end(): Promise<void> {
	await run.end();
	port.postMessage({ type: 'ended' } satisfies FromWorker);
	port.close();
}

port.on('message', (message: ToWorker) => {
	if (message.type === 'run') void runTest(message.title);
	else if (message.type === 'end') void end();
	else onAnswer(message);
});
