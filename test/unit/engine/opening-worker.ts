/** A thread that opens a database, sends an attachment to it, and stays. */
import { parentPort, workerData } from 'node:worker_threads';
import { open } from '../../../src/open.js';

const db = await open(workerData as string, { partitions: 2, durability: 'none', reserveFileSize: 0 });
const attachment = db.attachment();
parentPort?.postMessage(attachment, attachment.transferList);
