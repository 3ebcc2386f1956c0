/**
 * A bare socket that speaks RESP by hand: sends exactly the bytes given and reads replies one by one. For tests that must
 * see what a client library hides: order, split and malformed bytes, who closes when.
 */
import { connect, type Socket } from 'node:net';

/** An error reply, as it came: `ERR …`. */
export class ReplyError {
	readonly text: string;

	constructor(text: string) {
		this.text = text;
	}
}

export type Reply = string | number | null | Buffer | ReplyError | Reply[];

/** A command as an array of bulk strings. */
export function encodeCommand(...words: (string | Uint8Array | number)[]): Buffer {
	const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)];
	for (const word of words) {
		const bytes = word instanceof Uint8Array ? word : Buffer.from(String(word));
		parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
	}
	return Buffer.concat(parts);
}

export class RawConnection implements Disposable {
	readonly #socket: Socket;
	#chunks: Buffer[] = [];
	#size = 0;
	#isClosed = false;
	#wake = (): void => {};

	static async open(port: number): Promise<RawConnection> {
		const socket = connect({ host: '127.0.0.1', port, noDelay: true });
		await new Promise((resolve, reject) => {
			socket.once('connect', resolve);
			socket.once('error', reject);
		});
		return new RawConnection(socket);
	}

	private constructor(socket: Socket) {
		this.#socket = socket;
		socket.on('error', () => {});
		socket.on('data', (chunk) => {
			this.#chunks.push(chunk);
			this.#size += chunk.length;
			this.#wake();
		});
		const onEnd = (): void => {
			this.#isClosed = true;
			this.#wake();
		};
		socket.on('end', onEnd);
		socket.on('close', onEnd);
	}

	/** Bytes received and not read. */
	get receivedSize(): number {
		return this.#size;
	}

	/** Resolves when the bytes are with the kernel, or the connection is lost. */
	send(bytes: string | Uint8Array): Promise<void> {
		return new Promise((resolve) => {
			this.#socket.write(bytes, () => resolve());
		});
	}

	/** Sends a command and reads one reply. */
	async command(...words: (string | Uint8Array | number)[]): Promise<Reply> {
		void this.send(encodeCommand(...words));
		return this.reply();
	}

	/** Stops or starts to take bytes from the kernel. */
	pause(): void {
		this.#socket.pause();
	}

	resume(): void {
		this.#socket.resume();
	}

	/** Says that nothing more will be sent. */
	end(): void {
		this.#socket.end();
	}

	[Symbol.dispose](): void {
		this.#socket.destroy();
	}

	/** The next reply; bulk strings as Buffers. @throws Error when the connection ends first */
	async reply(): Promise<Reply> {
		const line = (await this.#line()).toString();
		const rest = line.slice(1);
		if (line[0] === '+') return rest;
		if (line[0] === '-') return new ReplyError(rest);
		if (line[0] === ':') return Number(rest);
		if (line[0] === '$') return Number(rest) < 0 ? null : this.#bulk(Number(rest));
		if (line[0] !== '*') throw new Error(`not a reply: ${line}`);
		const elements: Reply[] = [];
		for (let i = 0; i < Number(rest); i++) elements.push(await this.reply());
		return elements;
	}

	async replies(count: number): Promise<Reply[]> {
		const replies: Reply[] = [];
		while (replies.length < count) replies.push(await this.reply());
		return replies;
	}

	/** Everything up to the server's end of the connection. */
	async untilEnd(): Promise<Buffer> {
		while (!this.#isClosed) await this.#more();
		return this.#join();
	}

	async #bulk(size: number): Promise<Buffer> {
		while (this.#size < size + 2) await this.#mustMore();
		const bytes = this.#join();
		this.#keep(bytes.subarray(size + 2));
		return bytes.subarray(0, size);
	}

	async #line(): Promise<Buffer> {
		for (;;) {
			const bytes = this.#join();
			const end = bytes.indexOf('\r\n');
			if (end >= 0) {
				this.#keep(bytes.subarray(end + 2));
				return bytes.subarray(0, end);
			}
			await this.#mustMore();
		}
	}

	async #mustMore(): Promise<void> {
		if (this.#isClosed) throw new Error(`the connection ended: ${this.#join().toString('latin1', 0, 200)}`);
		await this.#more();
	}

	#more(): Promise<void> {
		return new Promise((resolve) => {
			this.#wake = resolve;
		});
	}

	#join(): Buffer {
		if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
		return this.#chunks[0];
	}

	#keep(rest: Buffer): void {
		this.#chunks = [rest];
		this.#size = rest.length;
	}
}
