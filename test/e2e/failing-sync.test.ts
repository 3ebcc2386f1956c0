/**
 * An fdatasync that fails, injected by strace: nobody who waited is told that his write is safe, writes are refused with a
 * code from then on, what is certain is still read, and a restart brings back everything acknowledged.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { encodeCommand, RawConnection, type Reply, ReplyError } from '../support/raw-connection.js';
import { skipWithout } from '../support/run-program.js';
import { startServer, TemporaryDirectory } from '../support/server-process.js';

/** Calls of one thread that succeed; those before it takes the first write are fewer. */
const goodCount = 40;

function whyNot(): string | false {
	const missing = skipWithout('strace');
	if (missing !== false) return missing;
	const inject = ['-o', '/dev/null', '-e', 'inject=fdatasync:error=EIO', 'true'];
	return spawnSync('strace', inject).status === 0 ? false : 'strace cannot attach to a process here';
}

const poisoned = (reply: Reply): boolean =>
	reply instanceof ReplyError && reply.text.startsWith('MISCONF MILLRACE_POISONED ');

test('a failed fsync poisons the partition, and loses nothing acknowledged', { skip: whyNot() }, async () => {
	using directory = new TemporaryDirectory();
	const acknowledged: string[] = [];
	{
		const trace = ['-D', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync'];
		await using server = await startServer({
			directory: directory.path,
			extra: ['--partitions', '1'],
			under: ['strace', ...trace, '-e', `inject=fdatasync:error=EIO:when=${goodCount}+`],
		});
		using raw = await RawConnection.open(server.port);
		let refused: Reply[] = [];
		for (let round = 0; round < 10 * goodCount && refused.length === 0; round++) {
			const keys = Array.from({ length: 10 }, (_, i) => `${round}:${i}`);
			void raw.send(Buffer.concat(keys.map((key) => encodeCommand('SET', key, key))));
			const replies = await raw.replies(keys.length);
			acknowledged.push(...keys.filter((_, i) => replies[i] === 'OK'));
			refused = replies.filter((reply) => reply !== 'OK');
		}
		assert.ok(acknowledged.length > 0 && refused.length > 0 && refused.every(poisoned), String(refused[0]));
		for (let i = 0; i < 10; i++) assert.ok(poisoned(await raw.command('SET', 'late', 'v')));
		assert.equal(String(await raw.command('GET', acknowledged[0])), acknowledged[0]);
		assert.equal(await raw.command('PING'), 'PONG');
		assert.match(server.stderr, /^millrace: the log of partition 0 failed: .*EIO.*refused.*\n$/);
		// It does not claim that all is well.
		assert.deepEqual(await server.stop(), { code: 1, signal: null });
		assert.match(server.stderr, /\(MILLRACE_POISONED\)/);
	}
	await using server = await startServer({ directory: directory.path });
	using raw = await RawConnection.open(server.port);
	for (const key of acknowledged) assert.equal(String(await raw.command('GET', key)), key);
	assert.equal(await raw.command('SET', 'late', 'v'), 'OK');
});
