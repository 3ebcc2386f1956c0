/** The conformance suite over the memory store, which is the model: a suite that it fails is wrong. */

import { ManualClock } from '../support/manual-clock.js';
import { MemoryStore } from '../support/memory-store.js';
import { conformance } from './conformance.js';
import type { Subject } from './subject.js';

function subjectOf(store: MemoryStore, advance: (stepMs: number) => void): Subject {
	return {
		store,
		close: () => store.close(),
		reopen: async () => {
			await store.close();
			return subjectOf(store.reopened(), advance);
		},
		newPath: (name) => name,
		openCopy: async (directory) => subjectOf(store.checkpoints.get(directory) as MemoryStore, advance),
		advance,
	};
}

conformance('memory store', async () => {
	const clock = new ManualClock(0);
	// Real time passes too: tests wait for it.
	return subjectOf(new MemoryStore(() => Date.now() + clock.nowMs()), (stepMs) => clock.advance(stepMs));
});
