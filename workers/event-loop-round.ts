/**
 * Threads that block for as long as they live have no event loop to speak of. But a port that was closed is freed only by one, so
 * after closing some they let theirs go round once.
 */

/** Runs until `run` says that it is over, with a round of the event loop between its calls. */
export function runWithRounds(run: () => boolean): void {
	if (!run()) return;
	// Handles are closed at the end of a round: between the first call back and the second.
	setImmediate(() => setImmediate(() => runWithRounds(run)));
}
