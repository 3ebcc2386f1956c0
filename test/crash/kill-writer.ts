/**
 * A writer of the kill loop, in a process of its own so that its ledger does not die with anything else. Sends pipelined
 * writes until the connection is lost, or until it has sent as many as asked for and all are acknowledged; then exits.
 *
 * Arguments: client|resp, port, ledger path, name, seed, first generation, most writes.
 */
import { openSync, writeSync } from 'node:fs';
import { Prng } from '../../src/base/prng.js';
import { connect } from '../../src/client/client.js';
import { encodeCommand, RawConnection, ReplyError } from '../support/raw-connection.js';
import { makeValue } from './kill-ledger.js';

/** Writes sent and not acknowledged. */
const windowCount = 64;
/** Keys of a writer: few enough that most are written many times. */
const keyCount = 500;

interface Write {
	readonly generation: number;
	readonly key: string;
	/** undefined: delete it. */
	readonly value: Buffer | undefined;
}

const [kind, port, ledgerPath, name, seed, firstGeneration, writeCountMax] = process.argv.slice(2);
const ledger = openSync(ledgerPath, 'a');
const random = new Prng(Number(seed));
const writeCount = Number(writeCountMax);
let nextGeneration = Number(firstGeneration);
let sentCount = 0;

function fillerSize(prng: Prng): number {
	const kindOfSize = prng.below(100);
	if (kindOfSize === 0) return prng.below(700_000);
	return kindOfSize < 10 ? prng.below(20_000) : prng.below(300);
}

/** Decides the next writes and notes that they are being sent. */
function nextWrites(count: number): Write[] {
	const writes: Write[] = [];
	let lines = '';
	for (; writes.length < count && sentCount < writeCount; sentCount++) {
		const generation = nextGeneration++;
		const key = `${name}:${random.below(keyCount)}`;
		const isDelete = random.below(8) === 0;
		writes.push({ generation, key, value: isDelete ? undefined : makeValue(key, generation, fillerSize(random)) });
		lines += `s ${generation} ${isDelete ? 'delete' : 'put'} ${key}\n`;
	}
	writeSync(ledger, lines);
	return writes;
}

function acknowledge(write: Write): void {
	writeSync(ledger, `a ${write.generation}\n`);
}

async function writeByClient(): Promise<void> {
	const client = await connect({ port: Number(port) });
	const run = async (): Promise<void> => {
		for (let [write] = nextWrites(1); write !== undefined; [write] = nextWrites(1)) {
			await (write.value === undefined ? client.delete(write.key) : client.put(write.key, write.value));
			acknowledge(write);
		}
	};
	await Promise.all(Array.from({ length: windowCount }, run));
	await client.close();
}

async function writeByResp(): Promise<void> {
	using raw = await RawConnection.open(Number(port));
	for (let writes = nextWrites(windowCount); writes.length > 0; writes = nextWrites(windowCount)) {
		const commands = writes.map(({ key, value }) =>
			value === undefined ? encodeCommand('DEL', key) : encodeCommand('SET', key, value),
		);
		void raw.send(Buffer.concat(commands));
		for (const write of writes) {
			if ((await raw.reply()) instanceof ReplyError) throw new Error('the server refuses writes');
			acknowledge(write);
		}
	}
}

try {
	await (kind === 'client' ? writeByClient() : writeByResp());
} catch {
	// The server was killed under us, which is what we are for.
}
process.exit(0);
