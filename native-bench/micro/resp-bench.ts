/**
 * RESP on the main thread alone: parse, submit, reply, write, without partitions or sockets. A port that copies each
 * command as the ring would and answers a burst at its end; a socket that takes all at once.
 * Run: node dist/native-bench/micro/resp-bench.js [P] [valueSize]
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { statusOk } from '../../src/base/errors.js';
import { encodeCommand, opGet, replyNone, replyValue } from '../../src/command/command-format.js';
import type { CommandPort, ReplySink } from '../../src/command/command-port.js';
import { Connection } from '../../src/net/connection.js';
import type { RespHost } from '../../src/protocol/resp/resp-host.js';
import { RespSession } from '../../src/protocol/resp/resp-session.js';

const depth = Number(process.argv[2] ?? 64);
const value = Buffer.alloc(Number(process.argv[3] ?? 100), 0x78);
const burstCount = Math.ceil(3_000_000 / depth);

let sink: ReplySink | undefined;
const ring = Buffer.alloc(1 << 20);
const sequences = new Int32Array(4096);
const opcodes = new Uint8Array(4096);
let count = 0;
let outputSize = 0;

const port: CommandPort = {
	partitionCount: 2,
	register(asker) {
		sink = asker;
		return 0;
	},
	unregister() {},
	partitionOf: (key, offset, size) => (key[offset + size - 1] as number) & 1,
	submit(_partition, _sink, sequence, _part, opcode, flags, argument, key, keyAt, keySize, bytes, at, size) {
		encodeCommand(ring, (count & 1023) * 512, opcode, flags, argument, key, keyAt, keySize, bytes, at, size);
		sequences[count] = sequence;
		opcodes[count++] = opcode;
		return true;
	},
};
const host: RespHost = { version: '0', config: new Map(), nowMs: () => 0, info: () => '', requestShutdown() {} };
const socket = Object.assign(new EventEmitter(), {
	setNoDelay() {},
	cork() {},
	uncork() {},
	pause() {},
	resume() {},
	write(view: Buffer, done: () => void) {
		outputSize += view.length;
		process.nextTick(done);
	},
});
new Connection(socket as unknown as Socket, {
	id: 1,
	makeSession: (_firstByte, self) => new RespSession(self, port, host),
});

function answer(): void {
	for (let i = 0; i < count; i++) {
		const isGet = opcodes[i] === opGet;
		sink?.onReply(sequences[i] as number, 0, statusOk, isGet ? replyValue : replyNone, 1, value, 0, isGet ? value.length : 0);
	}
	count = 0;
	sink?.onRepliesEnd();
}

async function measure(name: string, one: (key: string) => string): Promise<void> {
	let text = '';
	for (let i = 0; i < depth; i++) text += one(`key:${String(i).padStart(12, '0')}`);
	const burst = Buffer.from(text, 'latin1');
	const chunks: Buffer[] = [];
	for (let i = 0; i < 64; i++) chunks.push(Buffer.from(burst));
	const start = process.hrtime.bigint();
	for (let i = 0; i < burstCount; i++) {
		socket.emit('data', chunks[i & 63]);
		while (count > 0) answer();
		await new Promise<void>((resolve) => process.nextTick(resolve));
	}
	const seconds = Number(process.hrtime.bigint() - start) / 1e9;
	const rate = (burstCount * depth) / seconds / 1e6;
	console.log(`${name} P=${depth} ${value.length} B: ${rate.toFixed(2)} M/s, ${(1000 / rate).toFixed(0)} ns each`);
}

for (let round = 0; round < 3; round++) {
	await measure('SET', (key) => `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`);
	await measure('GET', (key) => `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`);
}
if (outputSize === 0) throw new Error('nothing was written');
