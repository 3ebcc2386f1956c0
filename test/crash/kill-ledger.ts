/**
 * What the kill loop knows: which writes were sent and which were acknowledged, from the writers' ledgers; and the check
 * of what a restarted server holds against it. Pure apart from reading ledger files.
 *
 *   ledger line   s <generation> <put|delete> <key>   written before the write is sent
 *                 a <generation>                      written when its acknowledgement came, before more is sent
 *
 * A key belongs to one writer, which sends its writes in order on one connection. So what may be found is the state after the
 * newest acknowledged write, or after any one sent later; without an acknowledged one also the state before. What is found
 * becomes certain: a server that showed it once may never lose it.
 */
import { xxh32 } from '../../src/base/xxh32.js';

/** Generation of a key that is absent. */
export const absent = 0;

interface SentWrite {
	readonly generation: number;
	readonly isDelete: boolean;
	isAcknowledged: boolean;
}

/** A value that says which write made it, and whether every byte is as written: `key|generation|filler|checksum`. */
export function makeValue(key: string, generation: number, fillerSize: number): Buffer {
	const body = Buffer.from(`${key}|${generation}|${'-='.repeat(fillerSize >>> 1)}|`);
	return Buffer.concat([body, Buffer.from(checksumOf(body))]);
}

/** @returns the generation of a value, or what is wrong with it */
export function readValue(key: string, value: Uint8Array): number | string {
	const bytes = Buffer.from(value);
	const bodySize = bytes.length - 8;
	if (bodySize < 0 || checksumOf(bytes.subarray(0, bodySize)) !== bytes.toString('latin1', bodySize)) {
		return 'an altered value';
	}
	const [name, generation] = bytes.toString('utf8').split('|', 2);
	return name === key ? Number(generation) : `the value of ${name}`;
}

function checksumOf(bytes: Uint8Array): string {
	return xxh32(bytes, 0, bytes.length).toString(16).padStart(8, '0');
}

export class KillLedger {
	/** What was found, or acknowledged and superseded nothing: generation by key. */
	readonly #certain = new Map<string, number>();
	readonly #sent = new Map<string, SentWrite[]>();
	sentCount = 0;
	acknowledgedCount = 0;

	/** Takes in what a writer wrote since the last check; the last line may be cut. */
	readLines(text: string): void {
		const byGeneration = new Map<number, SentWrite>();
		for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
			const [what, number, operation, key] = line.split(' ');
			const generation = Number(number);
			if (what === 's') {
				const write = { generation, isDelete: operation === 'delete', isAcknowledged: false };
				byGeneration.set(generation, write);
				const writes = this.#sent.get(key) ?? [];
				writes.push(write);
				this.#sent.set(key, writes);
				this.sentCount++;
			} else if (what === 'a') {
				(byGeneration.get(generation) as SentWrite).isAcknowledged = true;
				this.acknowledgedCount++;
			}
		}
	}

	/** Every key any writer ever sent. */
	get keys(): string[] {
		return [...new Set([...this.#certain.keys(), ...this.#sent.keys()])];
	}

	/**
	 * Compares what the server holds, and takes it as certain from now on.
	 * @param values of `keys`, in their order; undefined where the key is absent
	 * @returns a sentence for each key that is not as it must be
	 */
	check(keys: readonly string[], values: readonly (Uint8Array | undefined)[]): string[] {
		const problems: string[] = [];
		for (const [i, key] of keys.entries()) {
			const value = values[i];
			const found = value === undefined ? absent : readValue(key, value);
			const allowed = this.#allowed(key);
			if (typeof found === 'string') problems.push(`${key} holds ${found}`);
			else if (!allowed.includes(found)) {
				problems.push(`${key} holds generation ${found}, not one of ${allowed.join(', ')}`);
			}
			this.#certain.set(key, typeof found === 'string' ? absent : found);
		}
		this.#sent.clear();
		return problems;
	}

	/** Generations a key may hold now. */
	#allowed(key: string): number[] {
		const writes = this.#sent.get(key) ?? [];
		const generations = [
			this.#certain.get(key) ?? absent,
			...writes.map((write) => (write.isDelete ? absent : write.generation)),
		];
		return generations.slice(writes.findLastIndex((write) => write.isAcknowledged) + 1);
	}
}
