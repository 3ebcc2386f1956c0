/** A RESP session on a fake socket and a fake port: feeds bytes in pieces, runs until all is quiet, gives the output. */
import { Prng } from '../../../../src/base/prng.js';
import { Connection } from '../../../../src/net/connection.js';
import type { RespHost } from '../../../../src/protocol/resp/resp-host.js';
import { RespSession } from '../../../../src/protocol/resp/resp-session.js';
import { FakeSocket } from '../../net/fake-socket.js';
import { FakePort } from './fake-port.js';

/** The seed of this run; printed, so that a failure can be repeated. */
export const seed = Number(process.env.MILLRACE_SEED ?? Math.floor(Math.random() * 0x7fffffff));
console.log(`MILLRACE_SEED=${seed}`);

export interface RigOptions {
	readonly seed?: number;
	readonly isShuffled?: boolean;
	readonly fullChance?: number;
	readonly windowSizeMax?: number;
	readonly takesAtOnce?: boolean;
	readonly outputSizeSoft?: number;
	readonly outputSizeMax?: number;
}

export class Rig {
	readonly socket: FakeSocket;
	readonly port: FakePort;
	readonly connection: Connection;
	readonly log: string[] = [];
	shutdownCount = 0;
	readonly #prng: Prng;

	constructor(options: RigOptions = {}) {
		this.#prng = new Prng(options.seed ?? seed);
		this.port = new FakePort(options.seed ?? seed, options.isShuffled ?? true);
		this.port.fullChance = options.fullChance ?? 0;
		this.socket = new FakeSocket(options.takesAtOnce ?? true);
		const host: RespHost = {
			version: '1.2.3',
			config: new Map([
				['save', ''],
				['appendonly', 'yes'],
				['maxmemory', '0'],
			]),
			nowMs: () => this.port.nowMs,
			info: (section) => `# ${section === '' ? 'all' : section}\r\nx:1\r\n`,
			requestShutdown: () => {
				this.shutdownCount++;
			},
		};
		const sessionOptions = options.windowSizeMax === undefined ? {} : { windowSizeMax: options.windowSizeMax };
		this.connection = new Connection(this.socket.asSocket, {
			id: 42,
			makeSession: (_firstByte, connection) => new RespSession(connection, this.port, host, sessionOptions),
			log: (line) => this.log.push(line),
			...(options.outputSizeSoft === undefined ? {} : { outputSizeSoft: options.outputSizeSoft }),
			...(options.outputSizeMax === undefined ? {} : { outputSizeMax: options.outputSizeMax }),
		});
	}

	/** Sends `input` in pieces of the sizes given by `nextSize`; replies come in between. @returns all output */
	async run(input: Buffer | string, nextSize: () => number = () => 1 << 30): Promise<string> {
		const bytes = Buffer.from(input as string, 'latin1');
		let at = 0;
		while (at < bytes.length && !this.socket.isDestroyed) {
			if (this.socket.isPaused) {
				await this.turn();
				continue;
			}
			const size = Math.min(bytes.length - at, nextSize());
			// Sessions own their chunks and may write into them.
			this.socket.send(Buffer.from(bytes.subarray(at, at + size)));
			at += size;
			if (this.#prng.chance(0.3)) await this.turn();
		}
		await this.settle();
		return this.socket.text;
	}

	/** One burst of replies of random size, and the callbacks of writes. */
	async turn(): Promise<void> {
		this.port.step(1 + this.#prng.below(20));
		await new Promise((resolve) => setImmediate(resolve));
	}

	/** Until no reply and no write is under way. */
	async settle(): Promise<void> {
		do await this.turn();
		while (this.port.waitingCount > 0 || (this.socket.isPaused && this.port.sinkCount > 0));
		await this.turn();
	}

	randomSize(bound: number): number {
		return 1 + this.#prng.below(bound);
	}
}

/** A command as an array of bulk strings. */
export function command(...words: (string | Buffer)[]): Buffer {
	const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`)];
	for (const word of words) {
		const bytes = Buffer.isBuffer(word) ? word : Buffer.from(word, 'latin1');
		parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
	}
	return Buffer.concat(parts);
}
