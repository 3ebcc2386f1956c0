/** The conformance suite over one partition in this thread: no other thread, no files. */
import { Database } from '../../src/engine/database.js';
import { HarnessSession } from '../support/harness-session.js';
import { conformance } from './conformance.js';
import type { Subject } from './subject.js';

async function makeSubject(): Promise<Subject> {
	const store = new Database(new HarnessSession());
	// The simulated disk has no directories to rename, which a checkpoint ends with.
	return { store, close: () => store.close() };
}

conformance('one partition in the thread of its asker', makeSubject);
