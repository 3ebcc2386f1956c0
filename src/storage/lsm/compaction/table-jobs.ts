/**
 * The jobs that write tables: a flush makes one of a memtable, a compaction makes some of others. Run in the background
 * pool; what they write is checked, byte for byte, before anybody hears of it.
 *
 *   inputs ─> one iterator (level 0: of each table; deeper: of each level) ─> MergeIterator ─> writeCompaction ─> outputs
 *   outputs ─> verify each (checksums, order, filter) ─> entries add up, bounds within the inputs' ─> names synced
 *
 * A job touches only files that nothing names yet, and removes them again when it fails.
 */
import { MillraceError, systemCodeOf } from '../../../base/errors.js';
import { bloomBitsPerKeyYoung } from '../../../base/limits.js';
import type { CodecName } from '../../../codec/block-codec.js';
import type { Clock, FileHandle, FileSystem } from '../../../env/ports.js';
import type { EntryIterator } from '../entry.js';
import { KeyBounds } from '../key-bounds.js';
import { tableFileName } from '../manifest/manifest-format.js';
import { Memtable } from '../memtable/memtable.js';
import { MemtableIterator } from '../memtable/memtable-iterator.js';
import { LevelIterator } from '../scan/level-iterator.js';
import { MergeIterator } from '../scan/merge-iterator.js';
import {
	type CompactionCounts,
	type CompactionOutputs,
	type Grandparent,
	writeCompaction,
} from '../table/compaction-writer.js';
import { TableBuilder, type TableBuilderOptions } from '../table/table-builder.js';
import { compareKeys, type TableMeta } from '../table/table-meta.js';
import { TableReader } from '../table/table-reader.js';
import { Pace } from './pace.js';

export interface FlushJob {
	readonly kind: 'flush';
	readonly arena: SharedArrayBuffer;
	readonly tableId: number;
	readonly blockSize: number;
	readonly keepSequences: readonly number[];
	readonly bitsPerKey: number;
}

export interface CompactionJob {
	readonly kind: 'compact';
	/** Newer data first; tables of one deeper level side by side and in order of keys. */
	readonly inputs: readonly { readonly id: number; readonly level: number }[];
	readonly outputLevel: number;
	/** The outputs get this id and those after it. */
	readonly firstTableId: number;
	readonly tableCountMax: number;
	readonly blockSize: number;
	readonly tableFileSize: number;
	readonly grandparents: readonly Grandparent[];
	readonly keepSequences: readonly number[];
	readonly isBottom: boolean;
	readonly expiredBeforeMs: number;
	readonly codec: CodecName;
	readonly bitsPerKey: number;
	/** 0: as fast as it goes. */
	readonly bytesPerSecond: number;
}

/** Plain data: it crosses threads. What else is known of a table stands in the table. */
export interface WrittenTables {
	/** In order of keys. */
	readonly tables: readonly { readonly id: number; readonly size: number }[];
	/** What became of the entries; undefined for a flush. */
	readonly counts: CompactionCounts | undefined;
}

/** Writes a memtable as a table; none when it is empty. */
export function flushMemtable(
	fileSystem: FileSystem,
	directory: string,
	arena: SharedArrayBuffer,
	tableId: number,
	blockSize: number,
	keepSequences: readonly number[] = [],
	bitsPerKey = bloomBitsPerKeyYoung,
): TableMeta | undefined {
	const memtable = new Memtable(arena);
	const source = new MemtableIterator(memtable, keepSequences.length === 0);
	source.seekFirst();
	const outputs = new OutputTables(fileSystem, directory, tableId, new Pace(0, undefined), { blockSize, bitsPerKey });
	return outputs.write(() => {
		writeCompaction(
			source,
			memtable.rangeTombstones(),
			{
				keepSequences,
				isBottom: false,
				expiredBeforeMs: 0,
				tableFileSize: Number.POSITIVE_INFINITY,
				tableCountMax: 1,
				grandparents: [],
			},
			outputs,
		);
	})[0];
}

export function compactTables(
	fileSystem: FileSystem,
	directory: string,
	job: CompactionJob,
	clock: Clock | undefined,
): WrittenTables {
	const inputs: TableReader[] = [];
	try {
		for (const { id } of job.inputs) {
			inputs.push(TableReader.open(fileSystem, `${directory}/${tableFileName(id)}`, id));
		}
		const source = sourceOf(inputs, job);
		source.seekFirst();
		const { blockSize, bitsPerKey, codec } = job;
		const pace = new Pace(job.bytesPerSecond, clock);
		const outputs = new OutputTables(fileSystem, directory, job.firstTableId, pace, { blockSize, bitsPerKey, codec });
		let counts: CompactionCounts | undefined;
		const metas = inputs.map((table) => table.meta);
		const tombstones = metas.flatMap((meta) => meta.rangeTombstones);
		const written = outputs.write((made) => {
			counts = writeCompaction(source, tombstones, job, outputs);
			checkOutputs(metas, made, counts);
		});
		return { tables: written.map(({ id, size }) => ({ id, size })), counts };
	} finally {
		for (const table of inputs) table.close();
	}
}

/** Tables of level 0 each by themselves, those of a deeper level as one: the fewer sources, the fewer comparisons. */
function sourceOf(inputs: readonly TableReader[], job: CompactionJob): EntryIterator {
	const iterators: EntryIterator[] = [];
	for (let start = 0, end = 0; start < inputs.length; start = end) {
		const { level } = job.inputs[start];
		end = start + 1;
		while (level > 0 && end < inputs.length && job.inputs[end].level === level) end++;
		const run = inputs.slice(start, end);
		iterators.push(
			run.length === 1 ? run[0].iterator() : new LevelIterator(run, new KeyBounds(run.map(({ meta }) => meta))),
		);
	}
	return iterators.length === 1 ? iterators[0] : new MergeIterator(iterators);
}

/** Opens the files of a job one after the other, and checks or removes them. */
class OutputTables implements CompactionOutputs {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #firstId: number;
	readonly #pace: Pace;
	readonly #options: TableBuilderOptions;
	readonly #metas: TableMeta[] = [];
	#count = 0;
	#file: FileHandle | undefined;

	constructor(fileSystem: FileSystem, directory: string, firstId: number, pace: Pace, options: TableBuilderOptions) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
		this.#firstId = firstId;
		this.#pace = pace;
		this.#options = options;
	}

	/** @param work gets the list of what is finished. @returns what it made. @throws what it throws: nothing is left then */
	write(work: (made: readonly TableMeta[]) => void): readonly TableMeta[] {
		try {
			work(this.#metas);
			if (this.#count > 0) this.#fileSystem.syncDirectory(this.#directory);
			return this.#metas;
		} catch (error) {
			this.#file?.close();
			for (let index = 0; index < this.#count; index++) this.#removeQuietly(this.#pathOf(index));
			throw error;
		}
	}

	openOutput(index: number): TableBuilder {
		const path = this.#pathOf(index);
		if (this.#fileSystem.exists(path)) this.#fileSystem.remove(path);
		const file = this.#fileSystem.open(path, 'create');
		this.#file = file;
		this.#count = index + 1;
		return new TableBuilder(this.#pace.over(file), this.#firstId + index, this.#options);
	}

	finishOutput(builder: TableBuilder): void {
		const index = this.#count - 1;
		this.#metas.push(builder.finish());
		this.#file?.close();
		this.#file = undefined;
		const table = TableReader.open(this.#fileSystem, this.#pathOf(index), this.#firstId + index);
		try {
			table.verify();
		} finally {
			table.close();
		}
	}

	#pathOf(index: number): string {
		return `${this.#directory}/${tableFileName(this.#firstId + index)}`;
	}

	/** The first failure is what counts; a file that stays is an orphan, which the next open removes. */
	#removeQuietly(path: string): void {
		try {
			if (this.#fileSystem.exists(path)) this.#fileSystem.remove(path);
		} catch (error) {
			if (systemCodeOf(error) === '') throw error;
		}
	}
}

/** @throws MILLRACE_CORRUPT when outputs are not what inputs and counts say */
function checkOutputs(inputs: readonly TableMeta[], outputs: readonly TableMeta[], counts: CompactionCounts): void {
	const total = (metas: readonly TableMeta[]): number => metas.reduce((sum, meta) => sum + meta.entryCount, 0);
	const taken = total(inputs);
	const written = total(outputs);
	const lowSequence = Math.min(...inputs.map((meta) => meta.minSequence));
	const highSequence = Math.max(...inputs.map((meta) => meta.maxSequence));
	const hasRanges = inputs.some((meta) => meta.rangeTombstones.length > 0);
	const accounted = written + counts.shadowedCount + counts.rangeDeletedCount + counts.tombstoneCount;
	const fail = (what: string): never => {
		const ids = inputs.map(({ id }) => id).join(', ');
		throw new MillraceError('MILLRACE_CORRUPT', `the compaction of tables ${ids} went wrong: ${what}`);
	};
	if (written !== counts.writtenCount) fail(`${counts.writtenCount} entries written, ${written} found`);
	// An expired entry may be dropped or stay as a tombstone; a table of deleted ranges alone gets an entry to stand on.
	if (accounted > taken + (hasRanges ? 1 : 0) || taken > accounted + counts.expiredCount) {
		fail(`${taken} entries taken, ${accounted} accounted for, ${counts.expiredCount} expired`);
	}
	for (let i = 0; i < outputs.length; i++) {
		const { id, firstKey, lastKey, lowerBound, upperBound, minSequence, maxSequence } = outputs[i];
		if (i > 0 && compareKeys(outputs[i - 1].lastKey, firstKey) >= 0) fail(`table ${id} is out of order`);
		if (minSequence < lowSequence || maxSequence > highSequence) fail(`table ${id} has sequences of no input`);
		const isWithin =
			inputs.some((meta) => compareKeys(meta.lowerBound, lowerBound) <= 0) && reaches(inputs, upperBound);
		if (!isWithin || compareKeys(firstKey, lastKey) > 0) fail(`table ${id} has keys of no input`);
	}
}

/** True when some table covers keys as far as `upper`. */
function reaches(metas: readonly TableMeta[], upper: Uint8Array | undefined): boolean {
	return metas.some(({ upperBound }) => {
		if (upperBound === undefined) return true;
		return upper !== undefined && compareKeys(upperBound, upper) >= 0;
	});
}
