/**
 * A TCP listener and its connections. Main thread only.
 *
 *   listen --> accepting --stopAccepting--> deaf --close--> draining: every connection answers what it has read
 *                                                             `--deadline: destroyed--> closed
 *
 * Invariant: every accepted socket is in `#connections` until its 'close', or was refused for being over the cap.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { MillraceError, systemCodeOf } from '../base/errors.js';
import { connectionCountMax } from '../base/limits.js';
import type { ByteSession } from './byte-session.js';
import { Connection } from './connection.js';

/** What a client over the cap is told. A RESP error line: readable for Redis clients and for people. */
const refusal = Buffer.from('-ERR max number of clients reached\r\n', 'latin1');
/** How long a refused client may take to read that line. */
const refusalMs = 1_000;
/** Connections the kernel may hold until we accept them. */
const backlogCount = 1024;

export interface ListenOptions {
	readonly host: string;
	/** 0 lets the system choose. */
	readonly port: number;
	/** Chooses the protocol of a connection by the first byte it received. */
	readonly makeSession: (firstByte: number, connection: Connection) => ByteSession;
	readonly log?: (line: string) => void;
	readonly connectionCountMax?: number;
	readonly outputSizeSoft?: number;
	readonly outputSizeMax?: number;
	readonly graceMs?: number;
}

export class Listener {
	readonly #server: Server;
	readonly #options: ListenOptions;
	readonly #connections = new Set<Connection>();
	readonly #onConnectionClose = (connection: Connection): void => this.#forget(connection);
	#nextId = 1;
	#port = 0;
	#acceptedCount = 0;
	#refusedCount = 0;
	#onEmpty: (() => void) | undefined;

	/**
	 * Binds and listens.
	 * @throws MillraceError MILLRACE_LISTEN when the address is taken, not allowed or not ours
	 */
	static async listen(options: ListenOptions): Promise<Listener> {
		const listener = new Listener(options);
		await listener.#listen();
		return listener;
	}

	private constructor(options: ListenOptions) {
		this.#options = options;
		this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
	}

	/** The port in use, also when 0 was asked for. */
	get port(): number {
		return this.#port;
	}

	get connectionCount(): number {
		return this.#connections.size;
	}

	/** Connections accepted since the start, those over the cap not counted. */
	get acceptedCount(): number {
		return this.#acceptedCount;
	}

	/** Connections turned away for being over the cap. */
	get refusedCount(): number {
		return this.#refusedCount;
	}

	/** New clients are refused by the kernel from now on. Idempotent. */
	stopAccepting(): void {
		if (this.#server.listening) this.#server.close();
	}

	/**
	 * Stops accepting, lets every connection answer what was read and end, and destroys what is left after `timeoutMs`.
	 * @returns when no connection is left
	 */
	async close(timeoutMs: number): Promise<void> {
		this.stopAccepting();
		for (const connection of [...this.#connections]) connection.drain();
		if (this.#connections.size === 0) return;
		await new Promise<void>((resolve) => {
			const timer = setTimeout(() => {
				for (const connection of [...this.#connections]) connection.destroy('did not finish in time');
			}, timeoutMs);
			this.#onEmpty = () => {
				clearTimeout(timer);
				resolve();
			};
		});
	}

	#listen(): Promise<void> {
		const { host, port } = this.#options;
		return new Promise((resolve, reject) => {
			const onError = (error: Error): void => reject(listenError(host, port, error));
			this.#server.once('error', onError);
			this.#server.listen({ host, port, backlog: backlogCount }, () => {
				this.#server.off('error', onError);
				// Later errors are failed accepts (no file descriptors left): the clients we have must not suffer.
				this.#server.on('error', (error) => this.#options.log?.(`accept failed: ${error.message}`));
				const address = this.#server.address();
				this.#port = typeof address === 'object' && address !== null ? address.port : port;
				resolve();
			});
		});
	}

	#accept(socket: Socket): void {
		if (this.#connections.size >= (this.#options.connectionCountMax ?? connectionCountMax)) {
			this.#refusedCount++;
			refuse(socket);
			return;
		}
		this.#acceptedCount++;
		const { host: _host, port: _port, connectionCountMax: _max, ...rest } = this.#options;
		this.#connections.add(new Connection(socket, { ...rest, id: this.#nextId++, onClose: this.#onConnectionClose }));
	}

	#forget(connection: Connection): void {
		this.#connections.delete(connection);
		if (this.#connections.size === 0) this.#onEmpty?.();
	}
}

/** Says why and closes; reads and drops what the client sends, so that the line is not lost to a reset. */
function refuse(socket: Socket): void {
	socket.on('error', () => {});
	socket.resume();
	socket.end(refusal);
	const timer = setTimeout(() => socket.destroy(), refusalMs);
	socket.on('close', () => clearTimeout(timer));
}

function listenError(host: string, port: number, cause: Error): MillraceError {
	const where = `${host}:${port}`;
	const systemCode = systemCodeOf(cause);
	let why = `cannot listen on ${where}: ${cause.message}`;
	if (systemCode === 'EADDRINUSE')
		why = `cannot listen on ${where}: the port is taken; is another server running? Choose another port`;
	else if (systemCode === 'EACCES')
		why = `cannot listen on ${where}: not allowed; ports below 1024 need privileges. Choose another port`;
	else if (systemCode === 'EADDRNOTAVAIL')
		why = `cannot listen on ${where}: the host is not an address of this machine`;
	else if (systemCode === 'ENOTFOUND') why = `cannot listen on ${where}: the host name is not known`;
	return new MillraceError('MILLRACE_LISTEN', why, { cause });
}
