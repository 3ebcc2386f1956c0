/**
 * RESP on the main thread alone: parse, submit, reply, write, without partitions or sockets. A port that copies each
 * command as the ring would and answers a burst at its end; a socket that takes all at once.
 * Run: node dist/native-bench/micro/resp.js [P] [valueSize] [commandCount]
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { statusOk } from '../../src/base/errors.js';
import { encodeCommand, opGet, replyNone, replyValue } from '../../src/command/command-format.js';
import type { CommandPort, ReplySink } from '../../src/command/command-port.js';
import { Connection } from '../../src/net/connection.js';
import { RespSession } from '../../src/protocol/resp/resp-session.js';
import { isTiny, printHeader, printRounds } from './harness.js';

const depth = Number(process.argv[2] ?? 64);
const value = Buffer.alloc(Number(process.argv[3] ?? 100), 0x78);
const commandCount = isTiny ? 1000 : Number(process.argv[4] ?? 1_000_000);
const burstCount = Math.ceil(commandCount / depth);
const roundCount = isTiny ? 2 : 5;
const ring = Buffer.alloc(1 << 20);
const slotSize = 256 + value.length;
const sequences: number[] = [];
const opcodes: number[] = [];
let sink: ReplySink | undefined;

const port: CommandPort = {
	partitionCount: 2,
	register: (asker) => {
		sink = asker;
		return 0;
	},
	unregister() {},
	partitionOf: (key, offset, size) => (key[offset + size - 1] as number) & 1,
	submit(_partition, _sink, sequence, _part, opcode, flags, argument, key, keyAt, keySize, bytes, at, size) {
		encodeCommand(ring, (sequence & 63) * slotSize, opcode, flags, argument, key, keyAt, keySize, bytes, at, size);
		sequences.push(sequence);
		opcodes.push(opcode);
		return true;
	},
};
const socket = Object.assign(new EventEmitter(), {
	setNoDelay() {},
	cork() {},
	uncork() {},
	pause() {},
	resume() {},
	write: (_view: Buffer, done: () => void) => process.nextTick(done),
});
const host = {
	version: '0',
	config: new Map<string, string>(),
	nowMs: () => 0,
	info: () => '',
	requestShutdown() {},
};
new Connection(socket as unknown as Socket, {
	id: 1,
	makeSession: (_, self) => new RespSession(self, port, host),
});

function answer(): void {
	for (let i = 0; i < sequences.length; i++) {
		const isGet = opcodes[i] === opGet;
		const kind = isGet ? replyValue : replyNone;
		sink?.onReply(sequences[i] as number, 0, statusOk, kind, 1, value, 0, isGet ? value.length : 0);
	}
	sequences.length = 0;
	opcodes.length = 0;
	sink?.onRepliesEnd();
}

/** @returns commands per second */
async function measure(name: string, tail: string): Promise<number> {
	let text = '';
	for (let i = 0; i < depth; i++) text += `$3\r\n${name}\r\n$16\r\nkey:${String(i).padStart(12, '0')}\r\n${tail}`;
	const burst = Buffer.from(text.replaceAll(`$3\r\n${name}`, `*${tail === '' ? 2 : 3}\r\n$3\r\n${name}`), 'latin1');
	const startMs = performance.now();
	for (let i = 0; i < burstCount; i++) {
		socket.emit('data', burst);
		while (sequences.length > 0) answer();
		await new Promise<void>((resolve) => process.nextTick(resolve));
	}
	return (burstCount * depth) / ((performance.now() - startMs) / 1000);
}

printHeader(
	'RESP session',
	`P=${depth}, values of ${value.length} B, ${roundCount} rounds of ${commandCount} commands`,
);
const rates = { set: [] as number[], get: [] as number[] };
for (let round = 0; round < roundCount; round++) {
	rates.set.push(await measure('SET', `$${value.length}\r\n${value}\r\n`));
	rates.get.push(await measure('GET', ''));
}
printRounds('SET', rates.set);
printRounds('GET', rates.get);
