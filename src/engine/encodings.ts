/**
 * Encodings of keys and values for `withEncoding`: between what a program works with and the bytes that are stored.
 *
 *   name       a program gives            and gets back
 *   bytes      text or bytes              bytes           as without an encoding
 *   utf8       text                       text
 *   json       what JSON has              unknown         JSON.stringify, JSON.parse
 *   msgpack    what msgpack has           unknown         smaller; has bytes, dates, and whole numbers of 64 bits: bigints where
 *                                                         a number is not exact. A property named __proto__ comes back as
 * __proto_
 *
 * `json<User>()` and `msgpack<User>()` are the last two for a type of the program's own, which takes its word for it.
 * Keys are ordered by their bytes: 'bytes' and 'utf8' keep the order of what they encode, the others do not. Pure.
 */
import { bufferOver } from '../base/bytes.js';
import { packMessage, unpackValue } from '../codec/message-pack.js';
import type { Bytes } from '../command/checked-bytes.js';

/** An encoding of one's own: `decode` gets what `encode` gave. Both may throw. */
export interface Encoding<Input, Output = Input> {
	/** For error messages. */
	readonly name?: string;
	/** What begins with another value is encoded to bytes that begin with the other's: `prefix` and `append` make sense. */
	readonly keepsPrefixes?: boolean;
	/** The bytes are copied before anything else is encoded. */
	encode(value: Input): Bytes;
	/** @param bytes lent until it returns */
	decode(bytes: Uint8Array): Output;
}

export interface NamedEncodings {
	readonly bytes: Encoding<Bytes, Uint8Array>;
	readonly utf8: Encoding<string>;
	readonly json: Encoding<unknown>;
	readonly msgpack: Encoding<unknown>;
}

export type EncodingName = keyof NamedEncodings;
export type EncodingChoice = EncodingName | Encoding<never, unknown>;
type EncodingOf<E> = E extends EncodingName ? NamedEncodings[E] : E;
/** What a program gives for an encoding. */
export type InputOf<E> = EncodingOf<E> extends Encoding<infer Input, infer _Output> ? Input : never;
/** What it gets back. */
export type OutputOf<E> = EncodingOf<E> extends Encoding<infer _Input, infer Output> ? Output : never;

/** Which encodings a view has; 'bytes' where none is given. */
export interface EncodingPair<K, V> {
	readonly key?: K;
	readonly value?: V;
}

/** JSON of values that the program knows the type of. */
export function json<T>(): Encoding<T> {
	return jsonEncoding as Encoding<T>;
}

/** Msgpack of values that the program knows the type of. */
export function msgpack<T>(): Encoding<T> {
	return named.msgpack as Encoding<T>;
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws TypeError for what is no UTF-8 */
function textOf(bytes: Uint8Array): string {
	const text = bufferOver(bytes).toString('utf8');
	// What is no UTF-8 becomes this character. It may also be meant: then the slow way finds nothing wrong.
	return text.includes('\ufffd') ? strictDecoder.decode(bytes) : text;
}

const jsonEncoding: Encoding<unknown> = {
	name: 'json',
	encode(value) {
		const text = JSON.stringify(value) as string | undefined;
		if (text === undefined) throw new TypeError(`JSON has no ${typeof value}`);
		return text;
	},
	decode: (bytes) => JSON.parse(textOf(bytes)) as unknown,
};

const named: NamedEncodings = {
	bytes: { name: 'bytes', keepsPrefixes: true, encode: (value) => value, decode: (bytes) => bytes },
	utf8: {
		name: 'utf8',
		keepsPrefixes: true,
		encode(value) {
			if (typeof value === 'string') return value;
			throw new TypeError(`text is a string, not ${typeof value}`);
		},
		decode: textOf,
	},
	json: jsonEncoding,
	msgpack: {
		name: 'msgpack',
		encode(value) {
			// Inside of other values they are null, as in JSON.
			if (value !== undefined && typeof value !== 'function') return packMessage(value);
			throw new TypeError(`msgpack has no ${typeof value}`);
		},
		decode: unpackValue,
	},
};

/** @throws TypeError for what is no encoding */
export function encodingOf(what: string, choice: EncodingChoice | undefined): Encoding<unknown> {
	if (choice === undefined) return named.bytes as Encoding<unknown>;
	if (typeof choice === 'string' && Object.hasOwn(named, choice)) return named[choice] as Encoding<unknown>;
	const { encode, decode } = (typeof choice === 'object' ? (choice ?? {}) : {}) as Partial<Encoding<never, unknown>>;
	if (typeof encode === 'function' && typeof decode === 'function') return choice as Encoding<unknown>;
	const names = Object.keys(named).join("', '");
	throw new TypeError(`the encoding of ${what} is '${names}', or { encode, decode }`);
}
