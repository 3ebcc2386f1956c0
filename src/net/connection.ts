/**
 * One socket: bytes in to a session, bounded output out. Main thread only.
 *
 *   session -- reserve/advance --> output (chunk being filled)
 *                                    | full: seal
 *                                    v
 *                                  sealed chunks -- flush --> handed to the socket -- write callback --> chunk pool
 *
 * Invariants: at most one write (of one or several chunks) is with the socket; what is gathered meanwhile goes out
 * with its callback, so chunks are full when a peer reads slowly and memory stays near the bytes counted. A chunk
 * handed over is not touched until its callback. A connection with nothing to write holds no chunk, so that
 * 10,000 idle ones cost little. `#pendingSize` = bytes gathered + bytes handed over.
 *
 * Sockets are half-open: a peer that shuts down its sending side still gets its replies.
 */
import type { Socket } from 'node:net';
import { assert } from '../base/assert.js';
import { outputSizeMax, outputSizeSoft } from '../base/limits.js';
import type { ByteSession } from './byte-session.js';
import { returnChunk, takeChunk } from './chunk-pool.js';

/** How long a connection that was ended may stay without reading a byte before it is destroyed. */
const graceMsDefault = 5_000;

const emptyChunk = Buffer.alloc(0);

export interface ConnectionOptions {
	readonly id: number;
	/** Chooses the protocol by the first byte received. */
	readonly makeSession: (firstByte: number, connection: Connection) => ByteSession;
	/** Bytes waiting at which `isCongested` becomes true. */
	readonly outputSizeSoft?: number;
	/** Bytes waiting at which the peer is disconnected. */
	readonly outputSizeMax?: number;
	readonly graceMs?: number;
	readonly log?: (line: string) => void;
	readonly onClose?: (connection: Connection) => void;
}

export class Connection {
	readonly id: number;
	/** The chunk being filled. Changes with `reserve` and `flush`: read it anew after each. */
	output: Buffer = emptyChunk;

	readonly #socket: Socket;
	readonly #options: ConnectionOptions;
	readonly #sizeSoft: number;
	readonly #sizeMax: number;
	#session: ByteSession | undefined;
	#used = 0;
	#sealed: Buffer[] = [];
	/** Chunks whose write callback is outstanding, whole (not the views written), in order. */
	#handed: Buffer[] = [];
	#handedSize = 0;
	#writesOutstanding = 0;
	#pendingSize = 0;
	#isDraining = false;
	#isEnding = false;
	#isFinished = false;
	#isDestroyed = false;
	#graceTimer: NodeJS.Timeout | undefined;
	readonly #onWritten = (): void => this.#written();

	constructor(socket: Socket, options: ConnectionOptions) {
		this.id = options.id;
		this.#socket = socket;
		this.#options = options;
		this.#sizeSoft = options.outputSizeSoft ?? outputSizeSoft;
		this.#sizeMax = options.outputSizeMax ?? outputSizeMax;
		assert(this.#sizeSoft <= this.#sizeMax, 'the soft output limit is below the hard one');
		socket.setNoDelay(true);
		socket.on('data', (chunk: Buffer) => this.#onData(chunk));
		socket.on('end', () => this.drain());
		// An error is always followed by 'close', which is where a lost connection is dealt with.
		socket.on('error', () => {});
		socket.on('close', () => this.#onClose());
	}

	/** Replies wait above the soft limit: take no more commands until the session's `onWritable`. */
	get isCongested(): boolean {
		return this.#pendingSize >= this.#sizeSoft;
	}

	/** The socket is closed or being closed at once: output goes nowhere. */
	get isDestroyed(): boolean {
		return this.#isDestroyed;
	}

	/**
	 * Makes room for `size` bytes in one piece.
	 * @returns the offset in `this.output` to write at; valid until the next `reserve` or `flush`
	 */
	reserve(size: number): number {
		if (this.#used + size > this.output.length) this.#seal(size);
		return this.#used;
	}

	/** Says how many of the bytes reserved last were written. */
	advance(size: number): void {
		this.#used += size;
		this.#pendingSize += size;
	}

	/** Writes what was gathered, with one write; while one is under way, when that is done. */
	flush(): void {
		if (this.#used === 0 && this.#sealed.length === 0) return;
		if (this.#isDestroyed) {
			this.#dropOutput();
			return;
		}
		if (this.#pendingSize > this.#sizeMax) {
			this.#destroyUnread();
			return;
		}
		if (this.#writesOutstanding > 0) return;
		this.#handedSize = this.#pendingSize;
		const last = this.output;
		const lastSize = this.#used;
		this.output = emptyChunk;
		this.#used = 0;
		if (this.#sealed.length === 0) {
			this.#handed.push(last);
			this.#write(last.subarray(0, lastSize));
			return;
		}
		const sealed = this.#sealed;
		this.#sealed = [];
		this.#socket.cork();
		for (const view of sealed) this.#write(view);
		if (lastSize > 0) {
			this.#handed.push(last);
			this.#write(last.subarray(0, lastSize));
		}
		this.#socket.uncork();
	}

	/** Stops reading. At most what the stream already holds stays buffered; no bytes are delivered meanwhile. */
	pause(): void {
		if (!this.#isEnding) this.#socket.pause();
	}

	resume(): void {
		this.#socket.resume();
	}

	/** No more input is taken; the session answers what it has and ends. Also what the peer's FIN does. Idempotent. */
	drain(): void {
		if (this.#isDraining || this.#isDestroyed) return;
		this.#isDraining = true;
		if (this.#session === undefined) this.end();
		else this.#session.onDrain();
	}

	/**
	 * Writes what was gathered, then FIN. What the peer still sends is read and thrown away, because closing a socket
	 * with unread input resets it and could take the last replies away from the peer. Idempotent.
	 */
	end(): void {
		if (this.#isEnding || this.#isDestroyed) return;
		this.#isEnding = true;
		this.#isDraining = true;
		this.#armGraceTimer();
		this.#socket.resume();
		this.flush();
		this.#maybeFinish();
	}

	/** Closes at once; output is dropped. A reason that is not '' is logged. Idempotent. */
	destroy(reason: string): void {
		if (this.#isDestroyed) return;
		this.#isDestroyed = true;
		if (reason !== '') this.#options.log?.(`connection ${this.id}: ${reason}; closed`);
		this.#socket.destroy();
	}

	#onData(chunk: Buffer): void {
		if (this.#isDraining || this.#isDestroyed) return;
		this.#session ??= this.#options.makeSession(chunk[0] as number, this);
		this.#session.onBytes(chunk);
	}

	/** Puts the chunk being filled away for the next flush and takes one with room for `size` bytes. */
	#seal(size: number): void {
		if (this.#pendingSize > this.#sizeMax) this.#destroyUnread();
		if (this.#isDestroyed) this.#dropOutput();
		if (this.#used > 0) {
			this.#handed.push(this.output);
			this.#sealed.push(this.output.subarray(0, this.#used));
		} else if (this.output.length > 0) {
			returnChunk(this.output);
		}
		this.output = takeChunk(size);
		this.#used = 0;
	}

	#destroyUnread(): void {
		this.destroy(`the client does not read: ${this.#pendingSize} bytes of replies are waiting`);
	}

	#write(view: Buffer): void {
		this.#writesOutstanding++;
		this.#socket.write(view, this.#onWritten);
	}

	#written(): void {
		this.#writesOutstanding--;
		if (this.#writesOutstanding > 0 || this.#isDestroyed) return;
		const wasCongested = this.isCongested;
		this.#pendingSize -= this.#handedSize;
		this.#handedSize = 0;
		this.#returnHanded();
		if (this.#isEnding) this.#armGraceTimer();
		this.flush();
		this.#maybeFinish();
		if (wasCongested && !this.isCongested) this.#session?.onWritable();
	}

	/** Chunks go back to the pool when nothing of theirs is with the socket; those sealed since then stay. */
	#returnHanded(): void {
		const keptCount = this.#sealed.length;
		const returnedCount = this.#handed.length - keptCount;
		for (let i = 0; i < returnedCount; i++) returnChunk(this.#handed[i] as Buffer);
		if (keptCount === 0) this.#handed.length = 0;
		else this.#handed.splice(0, returnedCount);
	}

	#maybeFinish(): void {
		if (!this.#isEnding || this.#isFinished || this.#isDestroyed || this.#pendingSize > this.#handedSize) return;
		this.#isFinished = true;
		this.#socket.end();
	}

	#armGraceTimer(): void {
		clearTimeout(this.#graceTimer);
		this.#graceTimer = setTimeout(() => this.destroy(''), this.#options.graceMs ?? graceMsDefault);
		this.#graceTimer.unref();
	}

	/** After a destroy: what the session still writes lands in a chunk that is emptied here, and goes nowhere. */
	#dropOutput(): void {
		this.#sealed.length = 0;
		this.#used = 0;
		this.#pendingSize = this.#handedSize;
	}

	#onClose(): void {
		clearTimeout(this.#graceTimer);
		this.#isDestroyed = true;
		this.#isDraining = true;
		this.#dropOutput();
		// The chunks are left to the collector: libuv may have dropped them without a callback.
		this.#handed.length = 0;
		this.output = emptyChunk;
		this.#session?.onClose();
		this.#options.onClose?.(this);
	}
}
