/**
 * The client library: the methods of a store over one pipelined connection. Calls may be made without waiting for the
 * ones before; those on one key take effect in the order made. Keys and values are strings (UTF-8) or bytes; bytes
 * given must not change before the promise settles, bytes returned are the caller's own.
 *
 * Operating errors reject with `MillraceError` (codes in docs/errors.md), misuse with `TypeError`. When the
 * connection is lost, what was under way rejects with MILLRACE_CONNECTION: whether it was done is unknown. There is
 * no reconnecting yet.
 */
import { hasCode } from '../base/errors.js';
import {
	clientBatchCountMax,
	clientBatchSizeMax,
	clientInFlightSizeMax,
	clientWaitingCountMax,
	inFlightPerConnectionMax,
} from '../base/limits.js';
import { type Bytes, mustDelta, mustKey, mustValue } from '../command/checked-bytes.js';
import {
	opClear,
	opCount,
	opDelete,
	opFlush,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opScan,
	opSetExpiry,
	opStats,
} from '../command/command-format.js';
import { type ScanPage, scanInOrder } from '../command/ordered-scan.js';
import { type CheckedPutOptions, checkExpiry, checkPutOptions, type PutOptions } from '../command/put-options.js';
import {
	type CheckedScan,
	checkScan,
	type ScanOptions,
	type ScanSelection,
	wholeRange,
} from '../command/scan-options.js';
import { type ScannedEntry, ScanPageReader } from '../command/scan-page.js';
import { operationGetMany, operationPing, wireFlagRelativeExpiry } from '../protocol/frame/frame-format.js';
import { parseAddress } from './address.js';
import { callSize, type Operation } from './call.js';
import { ClientConnection, type ConnectionSettings } from './client-connection.js';

export type { Bytes } from '../command/checked-bytes.js';
export type { PutOptions } from '../command/put-options.js';
export type { ScanSelection } from '../command/scan-options.js';
export type { ScannedEntry } from '../command/scan-page.js';

export interface ConnectOptions {
	/** Milliseconds until the server must have said hello. Default 5000. */
	readonly connectTimeoutMs?: number;
	/** Milliseconds until a call without a reply rejects; 0, the default: never. */
	readonly requestTimeoutMs?: number;
	/** Calls sent and not answered; more wait. Default and most: 1024. */
	readonly inFlightMax?: number;
}

const noBytes = new Uint8Array(0);
const noKeys: readonly Uint8Array[] = [];
const connectOptionNames = new Set(['connectTimeoutMs', 'requestTimeoutMs', 'inFlightMax']);

/**
 * Connects to a server.
 * @param target `millrace://host[:port]`, or { host, port }
 * @throws MillraceError MILLRACE_CONNECTION or MILLRACE_PROTOCOL; TypeError for a target or option that cannot be
 */
export async function connect(
	target: string | { host?: string; port?: number },
	options: ConnectOptions = {},
): Promise<Client> {
	for (const name of Object.keys(options)) {
		if (!connectOptionNames.has(name)) throw new TypeError(`connect has no option '${name}'`);
	}
	const settings: ConnectionSettings = {
		connectTimeoutMs: mustBeIn('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, 1, 0x7fff_ffff),
		requestTimeoutMs: mustBeIn('requestTimeoutMs', options.requestTimeoutMs ?? 0, 0, 0x7fff_ffff),
		inFlightMax: mustBeIn('inFlightMax', options.inFlightMax ?? inFlightPerConnectionMax, 1, inFlightPerConnectionMax),
		inFlightSizeMax: clientInFlightSizeMax,
		waitingMax: clientWaitingCountMax,
	};
	const connection = await ClientConnection.connect(parseAddress(target), settings);
	return new Client(connection, settings);
}

export class Client implements AsyncDisposable {
	readonly #connection: ClientConnection;
	readonly #requestTimeoutMs: number;

	/** Use `connect`. */
	constructor(connection: ClientConnection, settings: ConnectionSettings) {
		this.#connection = connection;
		this.#requestTimeoutMs = settings.requestTimeoutMs || Number.POSITIVE_INFINITY;
	}

	/** Partitions of the server's database. */
	get partitionCount(): number {
		return this.#connection.hello.partitionCount;
	}

	/** The value, or undefined when the key is absent. */
	get(key: Bytes): Promise<Uint8Array | undefined> {
		return this.#callOnKey(opGet, key);
	}

	has(key: Bytes): Promise<boolean> {
		return this.#callOnKey(opHas, key);
	}

	/** Milliseconds since the epoch, 0 when the key never expires, undefined when it is absent. */
	getExpiry(key: Bytes): Promise<number | undefined> {
		return this.#callOnKey(opGetExpiry, key);
	}

	/** @returns the version written, or undefined when a condition (ifAbsent, ifPresent) was not met */
	put(key: Bytes, value: Bytes, options?: PutOptions): Promise<{ version: number } | undefined> {
		return new Promise((resolve, reject) => {
			const { flags, expiryMs } = wireExpiry(checkPutOptions(options));
			this.#send(opPut, mustKey(key), mustValue(value), flags, expiryMs, 0, noKeys, resolve as Resolve, reject);
		});
	}

	/** @returns whether the key was there */
	delete(key: Bytes): Promise<boolean> {
		return this.#callOnKey(opDelete, key);
	}

	/**
	 * Adds to a decimal number; an absent key counts as 0. @param delta an integer
	 * @returns the sum, a bigint because it has 64 bits
	 */
	increment(key: Bytes, delta: number | bigint = 1): Promise<bigint> {
		return new Promise((resolve, reject) => {
			const text = Buffer.from(mustDelta(delta));
			this.#send(opIncrement, mustKey(key), text, 0, 0, 0, noKeys, resolve as Resolve, reject);
		});
	}

	/**
	 * Makes a key expire, or never again.
	 * @param expiry { ttlMs } from now, { expiresAtMs } since the epoch, or undefined to remove the expiry
	 * @returns false when the key is absent or had no expiry to remove
	 */
	setExpiry(key: Bytes, expiry?: { ttlMs?: number; expiresAtMs?: number }): Promise<boolean> {
		return new Promise((resolve, reject) => {
			const { flags, expiryMs } = wireExpiry(checkExpiry(expiry));
			this.#send(opSetExpiry, mustKey(key), noBytes, flags, expiryMs, 0, noKeys, resolve as Resolve, reject);
		});
	}

	/** The values in the order of the keys, undefined for those absent. Not one moment's view of all keys. */
	async getMany(keys: readonly Bytes[]): Promise<(Uint8Array | undefined)[]> {
		if (!Array.isArray(keys)) throw new TypeError('getMany takes an array of keys');
		const all = keys.map(mustKey);
		const batches: Promise<(Uint8Array | undefined)[]>[] = [];
		let start = 0;
		let size = 0;
		for (let i = 0; i < all.length; i++) {
			const keySize = (all[i] as Uint8Array).length;
			if (i > start && (i - start === clientBatchCountMax || size + keySize > clientBatchSizeMax)) {
				batches.push(this.#getBatch(all.slice(start, i)));
				start = i;
				size = 0;
			}
			size += keySize;
		}
		if (start < all.length) batches.push(this.#getBatch(all.slice(start)));
		return (await Promise.all(batches)).flat();
	}

	/** The exact number of keys, or of those in a range; the server counts them one by one. */
	count(range?: Pick<ScanSelection, 'gt' | 'gte' | 'lt' | 'lte' | 'prefix'>): Promise<number> {
		return new Promise((resolve, reject) => {
			const { options } = checkScan(range, true);
			this.#send(opCount, noBytes, noBytes, 0, 0, 0, noKeys, resolve as Resolve, reject, options);
		});
	}

	/** Statistics of each partition. */
	stats(): Promise<Record<string, unknown>[]> {
		return this.#callBare(opStats);
	}

	ping(): Promise<void> {
		return this.#callBare(operationPing);
	}

	/** Removes every key. */
	clear(): Promise<void> {
		return this.#callBare(opClear);
	}

	/** Resolves when what was written before is in tables. */
	flush(): Promise<void> {
		return this.#callBare(opFlush);
	}

	/**
	 * The entries of a range in the order of their keys, over all partitions. Not one moment's view: writes meanwhile may
	 * or may not be seen. May be left in the middle.
	 */
	scan(selection?: ScanSelection): AsyncIterable<ScannedEntry> {
		const scan = checkScan(selection);
		return scanInOrder(this.partitionCount, scan, clientBatchCountMax, (partition, cursor, countMax) =>
			this.#page(scan, partition, cursor, countMax),
		);
	}

	/** Every entry, partition after partition, in key order within each. Writes meanwhile may or may not be seen. */
	async *exportEntries(): AsyncIterable<ScannedEntry> {
		const scan = checkScan();
		for (let partition = 0; partition < this.partitionCount; partition++) {
			let cursor: Uint8Array = noBytes;
			let isLast = false;
			while (!isLast) {
				const page = await this.#page(scan, partition, cursor, clientBatchCountMax);
				const reader = new ScanPageReader(page.bytes);
				for (let entry = reader.next(); entry !== undefined; entry = reader.next()) yield entry;
				({ isLast } = page);
				({ cursor } = reader);
			}
		}
	}

	/** Takes no more calls, waits for the replies to those made, and closes the connection. Idempotent. */
	close(): Promise<void> {
		return this.#connection.close();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close();
	}

	async #getBatch(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
		try {
			return await new Promise((resolve, reject) => {
				this.#send(operationGetMany, noBytes, noBytes, 0, 0, 0, keys, resolve as Resolve, reject);
			});
		} catch (error) {
			// Values that do not fit one frame together are asked for in halves: one alone always fits.
			if (!hasCode(error, 'MILLRACE_MESSAGE_SIZE') || keys.length === 1) throw error;
			const middle = keys.length >>> 1;
			const firstHalf = await this.#getBatch(keys.slice(0, middle));
			return firstHalf.concat(await this.#getBatch(keys.slice(middle)));
		}
	}

	#page({ options }: CheckedScan, partition: number, cursor: Uint8Array, countMax: number): Promise<ScanPage> {
		return new Promise((resolve, reject) => {
			this.#send(opScan, cursor, noBytes, 0, partition, countMax, noKeys, resolve as Resolve, reject, options);
		});
	}

	#callOnKey<Result>(operation: Operation, key: Bytes): Promise<Result> {
		return new Promise((resolve, reject) => {
			this.#send(operation, mustKey(key), noBytes, 0, 0, 0, noKeys, resolve as Resolve, reject);
		});
	}

	#callBare<Result>(operation: Operation): Promise<Result> {
		return new Promise((resolve, reject) => {
			this.#send(operation, noBytes, noBytes, 0, 0, 0, noKeys, resolve as Resolve, reject);
		});
	}

	#send(
		operation: Operation,
		key: Uint8Array,
		value: Uint8Array,
		flags: number,
		number: number,
		countMax: number,
		keys: readonly Uint8Array[],
		resolve: Resolve,
		reject: (error: unknown) => void,
		options: ScanOptions = wholeRange,
	): void {
		const isTimed = this.#requestTimeoutMs !== Number.POSITIVE_INFINITY;
		this.#connection.send({
			operation,
			key,
			value,
			flags,
			number,
			countMax,
			options,
			keys,
			size: callSize(key, value, options, keys),
			deadlineMs: isTimed ? performance.now() + this.#requestTimeoutMs : Number.POSITIVE_INFINITY,
			isAbandoned: false,
			resolve,
			reject,
		});
	}
}

/** The kind of value a call resolves to is known by its operation, which the types cannot follow through the wire. */
type Resolve = (value: unknown) => void;

function mustBeIn(name: string, value: number, min: number, max: number): number {
	if (Number.isInteger(value) && value >= min && value <= max) return value;
	throw new TypeError(`${name} is an integer from ${min} to ${max}, not ${value}`);
}

/** Options as they travel: an expiry that counts from the server's now is a flag of the wire. */
function wireExpiry(options: CheckedPutOptions): { flags: number; expiryMs: number } {
	const flags = options.isRelative ? options.flags | wireFlagRelativeExpiry : options.flags;
	return { flags, expiryMs: options.expiryMs };
}
