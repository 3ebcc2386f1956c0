/** A reading thread of thread-reads.ts. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../src/base/assert.js';
import { storeModule } from './bench-store.js';
import { hotNumbers, Load } from './load.js';
import type { ThreadBoot } from './thread-reads.js';
import { readSync, warmSync } from './workloads.js';

assert(parentPort !== null, 'this is a worker');
const main = parentPort;
const { plan, ticket } = workerData as ThreadBoot;
const { openInThread } = await storeModule(plan.store);
const store = await openInThread(ticket);
const load = new Load(plan.seed);
const numbers = hotNumbers(plan.keyCount, plan.hotCount, plan.seed);
warmSync(store.getSync, load, numbers, plan);

main.postMessage('ready');
await once(main, 'message');
main.postMessage(readSync(store.getSync, load, numbers, plan.secondsMax));
await once(main, 'message');
await store.close();
main.close();
