/**
 * What the conformance suite runs over, and the few words in which its tests are written. Keys and values of tests are text, one
 * character for each byte (latin1), so that 0x00 and 0xff can be written down.
 */
import assert from 'node:assert/strict';
import { type ErrorCode, hasCode } from '../../src/base/errors.js';
import type { Store, StoreScanOptions } from '../../src/command/store.js';

export interface Subject {
	readonly store: Store;
	/** Closes the store and whatever stands below it. After `store.close()` too. */
	close(): Promise<void>;
	/** Closes the store and opens what it stored again. Without it: what is stored goes with the store. */
	readonly reopen?: () => Promise<Subject>;
	/** A path that does not exist yet, for a checkpoint. Without it: no checkpoints. */
	readonly newPath?: (name: string) => string;
	/** A store opened on what a checkpoint wrote there. */
	readonly openCopy?: (directory: string) => Promise<Subject>;
	/** Sets the clock that expiry goes by forward. Without it: the system's. */
	readonly advance?: (stepMs: number) => void;
}

/** An empty store. */
export type MakeSubject = () => Promise<Subject>;

/** For tests of misuse: the same store, without types. */
export type LooseStore = Record<string, (...given: unknown[]) => Promise<unknown>>;

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

export const text = (value: Uint8Array | undefined): string | undefined =>
	value === undefined ? undefined : Buffer.from(value).toString('latin1');

/** Everything a scan gives, as text. */
export async function entriesOf(store: Store, options?: StoreScanOptions): Promise<[string, string][]> {
	const found: [string, string][] = [];
	for await (const [key, value] of store.scan(options)) found.push([text(key) as string, text(value) as string]);
	return found;
}

export async function keysOf(store: Store, options?: StoreScanOptions): Promise<string[]> {
	return (await entriesOf(store, { ...options, keysOnly: true })).map(([key]) => key);
}

/** Text keys and their values, in any order. */
export async function putAll(store: Store, entries: Readonly<Record<string, string>>): Promise<void> {
	await Promise.all(Object.entries(entries).map(([key, value]) => store.put(bytes(key), bytes(value))));
}

export async function mustHaveCode(code: ErrorCode, work: Promise<unknown>): Promise<void> {
	await assert.rejects(work, (error) => hasCode(error, code) || assert.fail(`${code} expected: ${error}`));
}

/** Misuse may be found at the call or at the promise; an iterator may find it when it is first asked. */
export async function mustBeTypeError(what: string, call: () => unknown): Promise<void> {
	await assert.rejects(
		async () => {
			const result = call() as Promise<unknown> & AsyncIterator<unknown>;
			await (typeof result?.next === 'function' ? result.next() : result);
		},
		TypeError,
		what,
	);
}
