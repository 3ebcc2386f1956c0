/**
 * Checks a whole partition: file by file (verify-file.ts), and what only files together can show. Offline over a directory that
 * nobody has open, or live: then the caller has the tasks done one after the other (a slice of work each), and gives the facts of
 * those files that are still live when they are done: a file that was removed or recycled meanwhile proves nothing.
 *
 *   tables of a level from 1 on share no key;  segments follow each other without a gap, from what is in tables on
 */
import type { FileSystem } from '../../../env/ports.js';
import type { ManifestState } from '../manifest/manifest-edit.js';
import { currentFileName, manifestFileName, tableFileName, tableIdOf } from '../manifest/manifest-format.js';
import { readCurrent, readManifest } from '../manifest/manifest-reader.js';
import { compareKeys } from '../table/table-meta.js';
import { segmentFileName } from '../wal/wal-format.js';
import { type FileFacts, type Problem, problemOf, type VerifyTask, verifyFile } from './verify-file.js';

export interface VerifyReport {
	readonly problems: readonly Problem[];
	readonly fileCount: number;
	/** Bytes read and checked. */
	readonly bytes: number;
	readonly entryCount: number;
}

/** @param mustReach newest sequence that must be in a segment; segments it does not name may be blank */
export function verifyTasks(
	state: ManifestState,
	manifestNumber: number,
	mustReach: ReadonlyMap<number, number> = new Map(),
): VerifyTask[] {
	return [
		{ what: 'manifest', number: manifestNumber },
		...[...state.tables.values()].map((table) => ({ what: 'table' as const, table })),
		...[...state.segments]
			.sort((a, b) => a - b)
			.map((id) => ({ what: 'segment' as const, id, mustReach: mustReach.get(id) ?? 0 })),
	];
}

/**
 * @param flushedSequence everything up to it is in tables
 * @param durableSequence when the first file was read: what was written later may be missing where a file was read before it
 */
export function judge(
	directory: string,
	facts: readonly FileFacts[],
	flushedSequence: number,
	durableSequence = Number.POSITIVE_INFINITY,
): VerifyReport {
	return {
		problems: [
			...facts.flatMap(({ problems }) => problems),
			...levelProblems(directory, facts),
			...logProblems(directory, facts, flushedSequence, durableSequence),
		],
		fileCount: facts.length,
		bytes: facts.reduce((sum, fact) => sum + fact.bytes, 0),
		entryCount: facts.reduce((sum, fact) => sum + (fact.task.what === 'manifest' ? 0 : fact.entryCount), 0),
	};
}

/** Checks everything of a partition that nobody has open. */
export function verifyPartition(fileSystem: FileSystem, directory: string): VerifyReport {
	let state: ManifestState;
	let number: number;
	try {
		number = readCurrent(fileSystem, directory);
	} catch (error) {
		return withoutManifest(fileSystem, directory, problemOf(`${directory}/${currentFileName}`, error));
	}
	try {
		({ state } = readManifest(fileSystem, directory, number));
	} catch (error) {
		return withoutManifest(fileSystem, directory, problemOf(`${directory}/${manifestFileName(number)}`, error));
	}
	const facts = verifyTasks(state, number).map((task) => verifyFile(fileSystem, directory, task));
	return judge(directory, facts, state.flushedSequence);
}

/** Says at least which tables are whole. */
function withoutManifest(fileSystem: FileSystem, directory: string, problem: Problem): VerifyReport {
	const facts = fileSystem
		.list(directory)
		.filter((name) => tableIdOf(name) >= 0)
		.map((name) => {
			const file = fileSystem.open(`${directory}/${name}`, 'read');
			const size = file.size();
			file.close();
			return verifyFile(fileSystem, directory, { what: 'table', table: { id: tableIdOf(name), level: 0, size } });
		});
	const report = judge(directory, facts, 0);
	return { ...report, problems: [problem, ...report.problems] };
}

function levelProblems(directory: string, facts: readonly FileFacts[]): Problem[] {
	const problems: Problem[] = [];
	const tables = facts.flatMap(({ task, firstKey, lastKey }) =>
		task.what === 'table' && task.table.level > 0 && firstKey && lastKey ? [{ ...task.table, firstKey, lastKey }] : [],
	);
	tables.sort((a, b) => a.level - b.level || compareKeys(a.firstKey, b.firstKey));
	for (let i = 1; i < tables.length; i++) {
		const [before, table] = [tables[i - 1], tables[i]];
		if (before.level !== table.level || compareKeys(before.lastKey, table.firstKey) < 0) continue;
		const problem = `it shares keys with ${tableFileName(before.id)}, both in level ${table.level}`;
		problems.push({ file: `${directory}/${tableFileName(table.id)}`, offset: 0, problem });
	}
	return problems;
}

function logProblems(
	directory: string,
	facts: readonly FileFacts[],
	flushedSequence: number,
	durableSequence: number,
): Problem[] {
	const problems: Problem[] = [];
	let last = flushedSequence;
	for (const { task, firstSequence, lastSequence, problems: own } of facts) {
		if (task.what !== 'segment') continue;
		// A segment with a problem of its own says no more about those after it.
		if (own.length > 0) return problems;
		if (firstSequence === 0) continue;
		if (firstSequence > last + 1 && last < durableSequence) {
			const problem = `it begins with sequence ${firstSequence}, but the log before it ends at ${last}`;
			problems.push({ file: `${directory}/${segmentFileName(task.id)}`, offset: 0, problem });
		}
		last = Math.max(last, lastSequence);
	}
	return problems;
}

/** True when the file a task names is still part of the partition. */
export function isLive(task: VerifyTask, state: ManifestState, manifestNumber: number): boolean {
	if (task.what === 'manifest') return task.number === manifestNumber;
	return task.what === 'table' ? state.tables.has(task.table.id) : state.segments.has(task.id);
}

/** One line for each problem, and one for the whole. */
export function verifyText(report: VerifyReport): string[] {
	const { problems, fileCount, bytes, entryCount } = report;
	const lines = problems.map(({ file, offset, problem }) => `${file}: at ${offset}: ${problem}`);
	const verdict =
		problems.length === 0 ? 'no problem' : `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`;
	lines.push(`${fileCount} files, ${bytes} bytes, ${entryCount} entries: ${verdict}`);
	return lines;
}
