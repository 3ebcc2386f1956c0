/**
 * The server: an engine, a listener and the protocols, wired together; how it starts, stops and fails.
 *
 *   start:  engine (recovery) ─> listen ─> ready
 *   close:  stop accepting ─> every connection answers what it has read ─> engine closes (log synced) ─> unlock
 *   a thread dies:  one line, everything ends, `ended` resolves with 1: acknowledged data is in the log
 */
import { createRequire } from 'node:module';
import type { MillraceError } from '../base/errors.js';
import { Engine } from '../engine/engine.js';
import { nodeClock } from '../env/node-clock.js';
import type { ByteSession } from '../net/byte-session.js';
import type { Connection } from '../net/connection.js';
import { Listener } from '../net/listener.js';
import { engineOptions, type OpenOptions } from '../open.js';
import { prefaceByte0 } from '../protocol/frame/frame-format.js';
import { FrameSession } from '../protocol/frame/frame-session.js';
import type { RespHost } from '../protocol/resp/resp-host.js';
import { RespSession } from '../protocol/resp/resp-session.js';
import { ServerInfo } from './server-info.js';

/** How long connections may take to read their last replies at a close. */
const drainDeadlineMs = 5000;

export const serverVersion = (createRequire(import.meta.url)('millrace/package.json') as { version: string }).version;

export interface ServerOptions extends OpenOptions {
	readonly directory: string;
	/** Default 127.0.0.1. */
	readonly host?: string;
	/** Default 7379; 0 lets the system choose. */
	readonly port?: number;
	/** Where lines for a person go. */
	readonly log?: (line: string) => void;
}

export interface RunningServer {
	readonly port: number;
	readonly partitionCount: number;
	/** Commands replayed from the logs at the start. */
	readonly replayedCount: number;
	/** Orderly end. Idempotent. */
	close(): Promise<void>;
	/** Resolves with the exit code when the server ended by itself: a SHUTDOWN command (0), a thread that died (1). */
	readonly ended: Promise<number>;
}

class Server implements RunningServer {
	readonly ended: Promise<number>;
	readonly #engine: Engine;
	readonly #log: (line: string) => void;
	readonly #info: ServerInfo;
	#listener!: Listener;
	#closing: Promise<void> | undefined;
	#settleEnded!: (exitCode: number) => void;

	constructor(engine: Engine, options: ServerOptions) {
		this.#engine = engine;
		this.#log = options.log ?? (() => undefined);
		this.#info = new ServerInfo(engine, serverVersion, () => this.#listener);
		this.ended = new Promise((resolve) => {
			this.#settleEnded = resolve;
		});
	}

	get port(): number {
		return this.#listener.port;
	}

	get partitionCount(): number {
		return this.#engine.partitionCount;
	}

	get replayedCount(): number {
		return this.#engine.replayedCount;
	}

	async listen(options: ServerOptions): Promise<void> {
		const respHost: RespHost = {
			version: serverVersion,
			config: this.#info.config(options),
			nowMs: () => nodeClock.nowMs(),
			info: (section) => this.#info.text(section),
			requestShutdown: () => this.#endByItself(0),
		};
		this.#listener = await Listener.listen({
			host: options.host ?? '127.0.0.1',
			port: options.port ?? 7379,
			log: (line) => this.#logConnection(line),
			makeSession: (firstByte, connection) => this.#makeSession(firstByte, connection, respHost),
		});
		this.#info.start();
	}

	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	onDeath(error: MillraceError): void {
		this.#log(`millrace: ${error.message}; stopping, nothing acknowledged is lost`);
		this.#endByItself(1);
	}

	/** Silent once a thread died: its one line says it all, and a line for each connection would bury it. */
	#logConnection(line: string): void {
		if (this.#engine.death === undefined) this.#log(`millrace: ${line}`);
	}

	async #close(): Promise<void> {
		this.#info.stop();
		this.#listener?.stopAccepting();
		await this.#listener?.close(this.#engine.death === undefined ? drainDeadlineMs : 0);
		await this.#engine.close();
	}

	#endByItself(exitCode: number): void {
		this.close().then(
			() => this.#settleEnded(exitCode),
			(error: unknown) => {
				this.#log(`millrace: ${String(error)}`);
				this.#settleEnded(1);
			},
		);
	}

	#makeSession(firstByte: number, connection: Connection, respHost: RespHost): ByteSession {
		const { dispatcher } = this.#engine;
		if (firstByte === prefaceByte0) return new FrameSession(connection, dispatcher, { serverVersion });
		return new RespSession(connection, dispatcher, respHost);
	}
}

/**
 * Opens the data directory and serves it.
 * @throws MillraceError as `open` does, and MILLRACE_LISTEN when the address cannot be had
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
	const { directory, host: _host, port: _port, log, ...openOptions } = options;
	let server: Server | undefined;
	const engine = await Engine.start({
		...engineOptions(directory, openOptions),
		onNote: (text) => log?.(`millrace: ${text}`),
		onDeath: (error) => server?.onDeath(error),
	});
	server = new Server(engine, options);
	try {
		await server.listen(options);
	} catch (error) {
		await engine.close();
		throw error;
	}
	return server;
}
