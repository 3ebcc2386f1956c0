/**
 * The real clock: the system's wall time. It may step backwards when the machine's time is set; whoever needs
 * order takes it from sequence numbers, never from here. Any thread may call it.
 */
import type { Clock } from './ports.js';

export const nodeClock: Clock = {
	nowMs: () => Date.now(),
};
