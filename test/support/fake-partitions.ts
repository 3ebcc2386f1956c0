/**
 * Partitions made of maps, for what runs in the asking thread: they answer snapshots, pages and counts as the real ones do, at
 * the pinned sequence, cut their pages anywhere, answer when they like, and know what is still pinned.
 */
import { MillraceError } from '../../src/base/errors.js';
import type { Prng } from '../../src/base/prng.js';
import {
	flagSequence,
	opCount,
	opEstimate,
	opReleaseSnapshot,
	opScan,
	opSnapshot,
} from '../../src/command/command-format.js';
import { decodeScanOptions, type ScanOptions, wholeRange } from '../../src/command/scan-options.js';
import type { Asker, Command, Reply } from '../../src/engine/asker.js';
import { isInRange } from './scan-world.js';

interface Version {
	readonly sequence: number;
	/** undefined: deleted. */
	readonly value: string | undefined;
}

class FakePartition {
	sequence = 0;
	readonly versions = new Map<string, Version[]>();
	/** By sequence, how often. */
	readonly pins = new Map<number, number>();

	at(key: string, sequence: number): string | undefined {
		return this.versions.get(key)?.findLast((version) => version.sequence <= sequence)?.value;
	}

	keysAt(sequence: number): string[] {
		return [...this.versions.keys()].filter((key) => this.at(key, sequence) !== undefined).sort();
	}
}

export class FakePartitions implements Asker {
	readonly partitionCount: number;
	readonly #prng: Prng;
	readonly #partitions: FakePartition[];
	/** Requests so far, by opcode. */
	readonly counts = new Map<number, number>();
	/** Called before a request is carried out: may throw what answers it. */
	onRequest: (partition: number, command: Command) => void = () => undefined;

	constructor(partitionCount: number, prng: Prng) {
		this.partitionCount = partitionCount;
		this.#prng = prng;
		this.#partitions = Array.from({ length: partitionCount }, () => new FakePartition());
	}

	get pinnedCount(): number {
		return this.#partitions.reduce((sum, { pins }) => sum + [...pins.values()].reduce((a, b) => a + b, 0), 0);
	}

	/** Keys are latin1. @param value undefined: deletes it */
	write(key: string, value: string | undefined): void {
		const partition = this.#partitions[this.partitionOf(Buffer.from(key, 'latin1'))] as FakePartition;
		partition.sequence++;
		const versions = partition.versions.get(key) ?? [];
		versions.push({ sequence: partition.sequence, value });
		partition.versions.set(key, versions);
	}

	partitionOf(key: Uint8Array): number {
		return key.reduce((sum, byte) => sum + byte, 0) % this.partitionCount;
	}

	async ask(partition: number, command: Command): Promise<Reply> {
		this.counts.set(command.opcode, (this.counts.get(command.opcode) ?? 0) + 1);
		await this.#wait();
		this.onRequest(partition, command);
		const reply = this.#carryOut(this.#partitions[partition] as FakePartition, command);
		await this.#wait();
		return reply;
	}

	async askAll(command: Command): Promise<Reply[]> {
		return Promise.all(this.#partitions.map((_, partition) => this.ask(partition, command)));
	}

	async #wait(): Promise<void> {
		for (let turns = this.#prng.below(3); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
	}

	#carryOut(partition: FakePartition, command: Command): Reply {
		const { opcode, argument = 0, key = new Uint8Array(0), value = new Uint8Array(0) } = command;
		const options = decodeScanOptions(value, 0, value.length) ?? wholeRange;
		switch (opcode) {
			case opSnapshot: {
				const { sequence, pins } = partition;
				pins.set(sequence, (pins.get(sequence) ?? 0) + 1);
				return ok(sequence);
			}
			case opReleaseSnapshot: {
				const count = partition.pins.get(argument) ?? 0;
				if (count === 0) throw new Error(`nothing is pinned at ${argument}`);
				if (count === 1) partition.pins.delete(argument);
				else partition.pins.set(argument, count - 1);
				return ok(0);
			}
			case opCount:
			case opEstimate:
				return ok(keysIn(partition, sequenceOf(partition, command), options).length);
			case opScan:
				return this.#page(partition, sequenceOf(partition, command), options, argument, key);
			default:
				throw new MillraceError('MILLRACE_UNKNOWN_COMMAND', `opcode ${opcode}`);
		}
	}

	#page(partition: FakePartition, sequence: number, options: ScanOptions, countMax: number, cursor: Uint8Array): Reply {
		const after = Buffer.from(cursor).toString('latin1');
		const keys = keysIn(partition, sequence, options);
		if (options.isReverse) keys.reverse();
		const rest = keys.filter((key) => after === '' || (options.isReverse ? key < after : key > after));
		const taken = rest.slice(0, Math.min(countMax, this.#prng.below(8)));
		const entries = taken.map((key): [string, string] => [
			key,
			options.isKeysOnly ? '' : (partition.at(key, sequence) ?? ''),
		]);
		const isLast = taken.length === rest.length;
		return { ...ok(Number(isLast)), value: pageOf(taken.at(-1) ?? after, entries) };
	}
}

/** A page as a partition writes it. */
export function pageOf(cursor: string, entries: readonly (readonly [key: string, value: string])[]): Uint8Array {
	const cursorSize = Buffer.alloc(2);
	cursorSize.writeUInt16LE(cursor.length);
	const parts: Buffer[] = [cursorSize, Buffer.from(cursor, 'latin1')];
	entries.forEach(([key, value], i) => {
		const header = Buffer.alloc(24);
		header.writeUInt32LE(key.length, 0);
		header.writeUInt32LE(value.length, 4);
		header.writeDoubleLE(1_000 + i, 8);
		header.writeDoubleLE(i + 1, 16);
		parts.push(header, Buffer.from(key + value, 'latin1'));
	});
	return new Uint8Array(Buffer.concat(parts));
}

function keysIn(partition: FakePartition, sequence: number, options: ScanOptions): string[] {
	return partition.keysAt(sequence).filter((key) => isInRange(Buffer.from(key, 'latin1'), options));
}

function sequenceOf(partition: FakePartition, { flags = 0, sequence = 0 }: Command): number {
	if ((flags & flagSequence) === 0) return partition.sequence;
	if (partition.pins.has(sequence)) return sequence;
	throw new MillraceError('MILLRACE_SNAPSHOT', `there is no snapshot at ${sequence}`);
}

function ok(number: number): Reply {
	return { status: 0, number, value: undefined };
}
