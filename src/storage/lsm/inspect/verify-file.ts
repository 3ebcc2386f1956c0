/**
 * Reads and checks every byte of one file of a partition. Changes nothing; runs in the background pool for a live partition, and
 * offline. What only several files together can show is judged by verify-partition.ts, from the facts given back.
 *
 *   manifest   every record up to the last, CURRENT
 *   table      footer, index, filter, properties, every block: TableReader.verify
 *   segment    header, groups in order, commands that fill them; zeros and a torn tail behind them are fine
 */
import { MillraceError, systemCodeOf } from '../../../base/errors.js';
import {
	commandFlagsOffset,
	commandHeaderSize,
	commandSize,
	readCommandKeySize,
	readCommandValueSize,
	sequenceCountOf,
} from '../../../command/command-format.js';
import type { FileSystem } from '../../../env/ports.js';
import type { TableEntry } from '../manifest/manifest-edit.js';
import { currentFileName, manifestFileName, tableFileName } from '../manifest/manifest-format.js';
import { readCurrent, readManifest } from '../manifest/manifest-reader.js';
import { TableReader } from '../table/table-reader.js';
import { SegmentReader, type WalGroup } from '../wal/segment-reader.js';
import { segmentFileName } from '../wal/wal-format.js';

export interface Problem {
	/** A path. */
	readonly file: string;
	/** Where in it, as far as that is known; else 0. */
	readonly offset: number;
	readonly problem: string;
}

export type VerifyTask =
	| { readonly what: 'manifest'; readonly number: number }
	| { readonly what: 'table'; readonly table: TableEntry }
	| {
			readonly what: 'segment';
			readonly id: number;
			/** The newest sequence that must be in it; 0: it may be blank. */
			readonly mustReach: number;
	  };

/** What was found in a file. Plain data: it crosses threads. */
export interface FileFacts {
	readonly task: VerifyTask;
	readonly bytes: number;
	readonly entryCount: number;
	readonly problems: readonly Problem[];
	/** Of a segment: its first and last whole sequence, 0 and 0 when it is blank. */
	readonly firstSequence: number;
	readonly lastSequence: number;
	/** Of a table: its first and last key. */
	readonly firstKey?: Uint8Array;
	readonly lastKey?: Uint8Array;
}

const noFacts = { bytes: 0, entryCount: 0, problems: [], firstSequence: 0, lastSequence: 0 };

export function fileNameOf(task: VerifyTask): string {
	if (task.what === 'manifest') return manifestFileName(task.number);
	return task.what === 'table' ? tableFileName(task.table.id) : segmentFileName(task.id);
}

/** @throws nothing that a file's contents or the disk can cause: that is a problem found */
export function verifyFile(fileSystem: FileSystem, directory: string, task: VerifyTask): FileFacts {
	const file = `${directory}/${fileNameOf(task)}`;
	try {
		if (task.what === 'manifest') return verifyManifest(fileSystem, directory, task);
		if (task.what === 'table') return verifyTable(fileSystem, directory, task);
		return verifySegment(fileSystem, directory, task);
	} catch (error) {
		return { ...noFacts, task, problems: [problemOf(file, error)] };
	}
}

/** An error as a problem of this file. @throws what is neither ours nor the system's */
export function problemOf(file: string, error: unknown): Problem {
	const isOurs = error instanceof MillraceError;
	if (!isOurs && systemCodeOf(error) === '') throw error;
	const text = error instanceof Error ? error.message : String(error);
	// The readers say where as "at byte 123" or "at offset 123", behind the path.
	const place = /\bat (?:byte|offset) (\d+)/.exec(text);
	const problem = text.startsWith(`${file}: `) ? text.slice(file.length + 2) : text;
	return { file, offset: place === null ? 0 : Number(place[1]), problem };
}

function verifyManifest(
	fileSystem: FileSystem,
	directory: string,
	task: Extract<VerifyTask, { what: 'manifest' }>,
): FileFacts {
	const contents = readManifest(fileSystem, directory, task.number);
	const problems: Problem[] = [];
	const named = readCurrent(fileSystem, directory);
	if (named !== task.number) {
		const problem = `it names manifest ${named}, the live one is ${task.number}`;
		problems.push({ file: `${directory}/${currentFileName}`, offset: 0, problem });
	}
	return { ...noFacts, task, bytes: contents.size, entryCount: contents.recordCount, problems };
}

function verifyTable(
	fileSystem: FileSystem,
	directory: string,
	task: Extract<VerifyTask, { what: 'table' }>,
): FileFacts {
	const { id, size } = task.table;
	const file = `${directory}/${tableFileName(id)}`;
	const reader = TableReader.open(fileSystem, file, id);
	try {
		reader.verify();
		const { meta } = reader;
		const problem = `it has ${meta.size} bytes, the manifest says ${size}`;
		return {
			...noFacts,
			task,
			bytes: meta.size,
			entryCount: meta.entryCount,
			problems: meta.size === size ? [] : [{ file, offset: 0, problem }],
			firstKey: Uint8Array.from(meta.firstKey),
			lastKey: Uint8Array.from(meta.lastKey),
		};
	} finally {
		reader.close();
	}
}

function verifySegment(
	fileSystem: FileSystem,
	directory: string,
	task: Extract<VerifyTask, { what: 'segment' }>,
): FileFacts {
	const file = `${directory}/${segmentFileName(task.id)}`;
	const problems: Problem[] = [];
	let firstSequence = 0;
	let lastSequence = 0;
	let entryCount = 0;
	const end = new SegmentReader(fileSystem, directory).read(task.id, (group) => {
		// A seal: no command.
		if (group.count === 0) return;
		const problem = groupProblem(group, lastSequence);
		if (problem !== '') problems.push({ file, offset: group.offset, problem });
		if (firstSequence === 0) firstSequence = group.firstSequence;
		lastSequence = group.firstSequence + group.count - 1;
		entryCount += group.count;
	});
	const proven = Math.max(end.provenSequence, task.mustReach);
	if (proven > lastSequence && end.provenSequence > lastSequence) {
		const problem = `the group here is damaged, though everything up to sequence ${end.provenSequence} had been durable`;
		problems.push({ file, offset: end.offset, problem });
	} else if (proven > lastSequence) {
		const problem = `it ends at sequence ${lastSequence}, though ${task.mustReach} was written to it`;
		problems.push({ file, offset: end.offset, problem });
	}
	return { task, bytes: end.offset, entryCount, problems, firstSequence, lastSequence };
}

/** @returns what is wrong with a group whose checksum holds; '': nothing */
function groupProblem(group: WalGroup, lastSequence: number): string {
	if (lastSequence > 0 && group.firstSequence !== lastSequence + 1) {
		return `a group begins with sequence ${group.firstSequence} after ${lastSequence}`;
	}
	const { bytes } = group;
	const end = group.payloadOffset + group.payloadSize;
	let at = group.payloadOffset;
	let count = 0;
	while (at + commandHeaderSize <= end) {
		count += sequenceCountOf(bytes, at);
		at += commandSize(bytes[at + commandFlagsOffset], readCommandKeySize(bytes, at), readCommandValueSize(bytes, at));
	}
	if (at !== end) return 'its commands do not fill the group';
	return count === group.count ? '' : `a group of ${group.count} sequences has commands for ${count}`;
}
