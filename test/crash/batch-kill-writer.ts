/**
 * The process that the batch kill loop kills: opens the database and writes batches over all partitions until it is killed. Each
 * group of keys has one writer, which gives all its keys the same stamp, one more each time.
 *
 *   ledger line   a <group> <stamp>     written when the batch was acknowledged, before the next is begun
 *
 * Arguments: directory, ledger path, durability, first stamp.
 */
import { openSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { hasCode } from '../../src/base/errors.js';
import { open } from '../../src/open.js';
import { groupCount, groupKeys, stampValue } from './batch-kill-groups.js';

const [directory, ledgerPath, durability, firstStamp] = process.argv.slice(2);

async function write(): Promise<void> {
	const ledger = openSync(ledgerPath, 'a');
	const db = await open(directory, {
		partitions: 3,
		durability: durability as 'always',
		// Small, so that flushes and compactions are under way at most kills.
		memtableSize: 1 << 20,
	});
	writeSync(ledger, 'open\n');
	const run = async (group: number): Promise<void> => {
		for (let stamp = Number(firstStamp); ; stamp++) {
			const operations = groupKeys(group).map((key) => ({ type: 'put' as const, key, value: stampValue(stamp) }));
			// A key that all groups share, so that batches meet.
			const shared = { type: 'put' as const, key: `shared${stamp % 3}`, value: `${group} ${stamp}` };
			await db.batch(stamp % 8 === 0 ? [...operations, shared] : operations);
			writeSync(ledger, `a ${group} ${stamp}\n`);
		}
	};
	await Promise.all(Array.from({ length: groupCount }, (_, group) => run(group)));
}

if (isMainThread) {
	write().catch((error: unknown) => {
		if (!hasCode(error, 'MILLRACE_CLOSED')) console.error(error);
		process.exit(1);
	});
}
