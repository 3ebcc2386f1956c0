/**
 * Lowers the priority of the calling thread, so that what people wait for goes first where processors are short. Best effort: on
 * Linux, where a thread has a number that setpriority takes; elsewhere it does nothing.
 */
import { readlinkSync } from 'node:fs';
import { platform, setPriority } from 'node:os';

/** @param nice 0 (ordinary) … 19 (last). @returns false when it could not be done */
export function lowerThreadPriority(nice: number): boolean {
	if (platform() !== 'linux') return false;
	try {
		// `<process>/task/<thread>`
		const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
		if (!Number.isInteger(threadId) || threadId <= 0) return false;
		setPriority(threadId, nice);
		return true;
	} catch {
		return false;
	}
}
