/**
 * kill -9 in the middle of batches over three partitions, again and again: after each, every batch is there as a whole or not at
 * all, every acknowledged one is, and nothing is locked. MILLRACE_KILL_CYCLES: kills (4 by default).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Prng } from '../../src/base/prng.js';
import { open } from '../../src/open.js';
import { testSeed } from '../support/seed.js';
import { TemporaryDirectory } from '../support/server-process.js';
import { groupCount, groupKeys, groupProblem } from './batch-kill-groups.js';

const cycles = Number(process.env.MILLRACE_KILL_CYCLES ?? 4);
const writerPath = fileURLToPath(new URL('./batch-kill-writer.js', import.meta.url));
/** More than a writer writes between two kills. */
const stampsPerCycle = 1_000_000;
const loadMsMax = 500;

/** Lets a writer write for a while, and kills it. @returns its ledger */
async function writeAndKill(
	path: string,
	ledger: string,
	durability: string,
	cycle: number,
	prng: Prng,
): Promise<string> {
	const child = spawn(process.execPath, [writerPath, path, ledger, durability, String(cycle * stampsPerCycle)], {
		stdio: 'inherit',
	});
	const exit = once(child, 'exit');
	while (child.exitCode === null && !(existsSync(ledger) && readFileSync(ledger, 'utf8').includes('a ')))
		await sleep(5);
	await sleep(prng.below(loadMsMax));
	child.kill('SIGKILL');
	assert.deepEqual((await exit).slice(0, 2), [null, 'SIGKILL'], 'it did not end by itself');
	return readFileSync(ledger, 'utf8');
}

for (const durability of ['always', 'none'] as const) {
	test(`kills in the middle of batches with durability ${durability}: all of each or nothing`, async () => {
		using directory = new TemporaryDirectory();
		const prng = new Prng(testSeed(`batch-kill ${durability}`));
		const path = join(directory.path, 'data');
		const acknowledged = new Array<number>(groupCount).fill(0);
		let count = 0;
		for (let cycle = 1; cycle <= (durability === 'always' ? cycles : Math.ceil(cycles / 2)); cycle++) {
			const ledger = await writeAndKill(path, join(directory.path, `ledger-${cycle}`), durability, cycle, prng);
			for (const [, group, stamp] of ledger.matchAll(/^a (\d+) (\d+)\n/gm)) {
				acknowledged[Number(group)] = Number(stamp);
				count++;
			}
			await using db = await open(path);
			for (let group = 0; group < groupCount; group++) {
				const keys = groupKeys(group);
				assert.equal(groupProblem(group, await db.getMany(keys), acknowledged[group]), '');
				// Its keys are free.
				const value = await db.get(keys[0]);
				await (value === undefined ? db.delete(keys[0]) : db.put(keys[0], value));
			}
			for (const { batches } of await db.stats()) assert.deepEqual(batches, { prepared: 0, decided: 0, bytes: 0 });
		}
		console.log(`batch-kill ${durability}: ${count} batches acknowledged`);
		assert(count > cycles, `${count} batches`);
	});
}
