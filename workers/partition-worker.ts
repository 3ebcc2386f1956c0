/**
 * The entry point of a partition's thread: opens the partition, says ready (or why not), and runs its loop to the end.
 * Spawned by the engine with a PartitionBoot.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { PartitionBoot } from '../src/command/worker-boot.js';
import { runWithRounds } from './event-loop-round.js';
import { openPartitionThread } from './partition-thread.js';

// All modules are loaded: from now on the thread may be ended.
parentPort?.postMessage('loaded');
const thread = openPartitionThread(workerData as PartitionBoot);
if (thread !== undefined) runWithRounds(() => thread.loop.run());
