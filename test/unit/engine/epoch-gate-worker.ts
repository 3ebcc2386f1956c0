/** A thread that begins batches and epochs as fast as it can, and sees that no epoch begins beside a batch of its own. */
import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { GateSlot, loadEpoch } from '../../../src/command/database-memory.js';
import { EpochGate } from '../../../src/engine/epoch-gate.js';

const { memory, slot } = workerData as { memory: SharedArrayBuffer; slot: number };
const words = new Int32Array(memory);
const gate = new EpochGate(new GateSlot(memory, slot));
const batchCount = 2000;
let epochs = 0;

async function runBatches(count: number): Promise<void> {
	for (let i = 0; i < count; i++) {
		await gate.enterBatch();
		const epoch = loadEpoch(words);
		if (i % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
		for (let spin = 0; spin < 2000; spin++) assert.equal(loadEpoch(words), epoch);
		gate.leaveBatch();
	}
}

async function runEpochs(count: number): Promise<void> {
	for (let i = 0; i < count; i++) {
		await gate.newEpoch();
		epochs++;
		await new Promise((resolve) => setImmediate(resolve));
	}
}

await Promise.all([runBatches(batchCount / 2), runBatches(batchCount / 2), runEpochs(200)]);
parentPort?.postMessage({ batches: batchCount, epochs });
