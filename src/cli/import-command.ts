/**
 * `millrace import`: streams a JSON-lines file into a server, pipelined, with bounded memory.
 *
 *   file -> lines -> entries -> put, at most `pendingCountMax` calls and `pendingSizeMax` bytes not yet answered
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { MillraceError } from '../base/errors.js';
import { clientInFlightSizeMax, inFlightPerConnectionMax } from '../base/limits.js';
import type { Client } from '../client/client.js';
import { type CommandIo, exitFailed, exitOk } from './command-io.js';
import { type LineEntry, parseLine, readLines } from './json-lines.js';
import { Progress } from './progress.js';

/** Twice the window, so that the next calls are ready when replies come. */
const pendingCountMax = 2 * inFlightPerConnectionMax;
const pendingSizeMax = clientInFlightSizeMax;
/** Bad lines that are shown with --continue-on-error; the rest is only counted. */
const shownMax = 20;

export interface ImportOptions {
	readonly continueOnError: boolean;
}

/** @param path of the file; '-' is standard input. @returns the exit code */
export async function importFile(client: Client, path: string, options: ImportOptions, io: CommandIo): Promise<number> {
	const isStdin = path === '-';
	const total = isStdin ? 0 : (await stat(path)).size;
	const importer = new Importer(client, options, io, new Progress(io, 'importing', total));
	const stream = isStdin ? io.stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
	return importer.run(readLines(stream));
}

class Importer {
	readonly #client: Client;
	readonly #options: ImportOptions;
	readonly #io: CommandIo;
	readonly #progress: Progress;
	#lineNumber = 0;
	#position = 0;
	#importedCount = 0;
	#badCount = 0;
	#pendingCount = 0;
	#pendingSize = 0;
	#failure: unknown;
	#wake: (() => void) | undefined;

	constructor(client: Client, options: ImportOptions, io: CommandIo, progress: Progress) {
		this.#client = client;
		this.#options = options;
		this.#io = io;
		this.#progress = progress;
	}

	async run(lines: AsyncIterable<Buffer>): Promise<number> {
		const startedAt = performance.now();
		try {
			for await (const line of lines) {
				this.#lineNumber++;
				this.#position += line.length + 1;
				this.#takeLine(line);
				while (this.#isFull && this.#failure === undefined) await this.#changed();
				if (this.#failure !== undefined) break;
			}
			while (this.#pendingCount > 0) await this.#changed();
		} finally {
			this.#progress.stop();
		}
		const seconds = (performance.now() - startedAt) / 1000;
		const rate = Math.round(this.#importedCount / Math.max(seconds, 0.001));
		this.#say(`imported ${this.#importedCount} records in ${seconds.toFixed(1)} s (${rate}/s), ${this.#badCount} bad`);
		if (this.#failure !== undefined) throw this.#failure;
		return this.#badCount === 0 ? exitOk : exitFailed;
	}

	get #isFull(): boolean {
		return this.#pendingCount >= pendingCountMax || this.#pendingSize >= pendingSizeMax;
	}

	#takeLine(line: Buffer): void {
		const lineNumber = this.#lineNumber;
		try {
			const entry = parseLine(line);
			if (entry !== undefined) this.#put(entry, lineNumber);
		} catch (error) {
			this.#badLine(lineNumber, error);
		}
	}

	#put(entry: LineEntry, lineNumber: number): void {
		const size = entry.key.length + entry.value.length;
		const position = this.#position;
		this.#pendingCount++;
		this.#pendingSize += size;
		const expiry = entry.expiresAtMs === 0 ? undefined : { expiresAtMs: entry.expiresAtMs };
		void this.#client
			.put(entry.key, entry.value, expiry)
			.then(
				() => {
					this.#importedCount++;
					this.#progress.advance(position);
				},
				(error: unknown) => this.#badLine(lineNumber, error),
			)
			.finally(() => {
				this.#pendingCount--;
				this.#pendingSize -= size;
				this.#wake?.();
			});
	}

	/** A line that is wrong in itself may be passed over; trouble with the server ends the import. */
	#badLine(lineNumber: number, error: unknown): void {
		if (!(error instanceof MillraceError) || !isAboutLine(error)) {
			this.#failure ??= error;
			return;
		}
		this.#badCount++;
		const message = `line ${lineNumber}: ${error.message}`;
		if (!this.#options.continueOnError) {
			const hint = '; correct it, or pass over bad lines with --continue-on-error';
			this.#failure ??= new MillraceError(error.code, `${message}${hint}`, { cause: error });
		} else if (this.#badCount <= shownMax) {
			this.#say(message);
		}
	}

	#say(line: string): void {
		this.#io.stderr.write(`${line}\n`);
	}

	#changed(): Promise<void> {
		return new Promise((resolve) => {
			this.#wake = resolve;
		});
	}
}

function isAboutLine(error: MillraceError): boolean {
	return ['MILLRACE_ARGUMENT', 'MILLRACE_KEY_SIZE', 'MILLRACE_VALUE_SIZE'].includes(error.code);
}
