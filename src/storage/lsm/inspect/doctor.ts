/**
 * Explains in plain text what is in a partition's directory, and what is wrong with it, with a remedy for each problem. Reads the
 * manifest, the ends of the tables and the log, and changes nothing: nobody may have the partition open. That every byte of the
 * tables is right is for verify-partition.ts to say.
 */
import { hasCode } from '../../../base/errors.js';
import type { FileSystem } from '../../../env/ports.js';
import type { TableEntry } from '../manifest/manifest-edit.js';
import {
	currentFileName,
	manifestFileName,
	manifestFormatVersion,
	tableFileName,
	tableIdOf,
} from '../manifest/manifest-format.js';
import { type ManifestContents, readCurrent, readManifest } from '../manifest/manifest-reader.js';
import { lossText } from '../recovery/damaged-log.js';
import { isOrphan } from '../recovery/remove-orphans.js';
import { TableReader } from '../table/table-reader.js';
import { reserveFileName } from '../upkeep/reserve-file.js';
import { SegmentReader } from '../wal/segment-reader.js';
import { segmentIdOf } from '../wal/wal-format.js';
import { type FileFacts, fileNameOf, problemOf, verifyFile } from './verify-file.js';
import { judge } from './verify-partition.js';

export interface Finding {
	readonly problem: string;
	readonly remedy: string;
}

export interface Examination {
	/** What is there, line by line. */
	readonly lines: readonly string[];
	readonly findings: readonly Finding[];
}

const backup = 'put the file back from a backup, or restore the whole directory from one';

/** Bytes for people: 0 B, 12.3 MB. Powers of ten, as disks are sold. */
export function bytesText(bytes: number): string {
	const units = ['B', 'kB', 'MB', 'GB', 'TB'];
	let value = bytes;
	let unit = 0;
	while (value >= 999.5 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	return `${unit === 0 ? value : value.toFixed(value < 99.95 ? 1 : 0)} ${units[unit]}`;
}

class Examiner {
	readonly #fileSystem: FileSystem;
	readonly #directory: string;
	readonly #lines: string[] = [];
	readonly #findings: Finding[] = [];

	constructor(fileSystem: FileSystem, directory: string) {
		this.#fileSystem = fileSystem;
		this.#directory = directory;
	}

	run(): Examination {
		const number = this.#try(currentFileName, () => readCurrent(this.#fileSystem, this.#directory));
		if (number !== undefined) {
			const contents = this.#try(manifestFileName(number), () =>
				readManifest(this.#fileSystem, this.#directory, number),
			);
			if (contents !== undefined) this.#describe(number, contents);
		}
		return { lines: this.#lines, findings: this.#findings };
	}

	#describe(number: number, contents: ManifestContents): void {
		const { state, recordCount, size } = contents;
		const edits = `${recordCount - 1} edits since, ${bytesText(size)}`;
		this.#lines.push(`manifest ${number}, format up to ${manifestFormatVersion}, ${edits}`);
		const levels = new Map<number, TableEntry[]>();
		for (const table of state.tables.values()) {
			levels.set(table.level, [...(levels.get(table.level) ?? []), table]);
		}
		if (levels.size === 0) this.#lines.push('no tables');
		for (const level of [...levels.keys()].sort((a, b) => a - b)) this.#describeLevel(level, levels.get(level) ?? []);
		this.#describeLog(contents);
		this.#describeRest(number, contents);
	}

	#describeLevel(level: number, tables: readonly TableEntry[]): void {
		let [bytes, entries, tombstones, ranges] = [0, 0, 0, 0];
		for (const { id, size } of tables) {
			const reader = this.#try(tableFileName(id), () =>
				TableReader.open(this.#fileSystem, `${this.#directory}/${tableFileName(id)}`, id),
			);
			if (reader === undefined) continue;
			const { meta } = reader;
			reader.close();
			bytes += meta.size;
			entries += meta.entryCount;
			tombstones += meta.tombstoneCount;
			ranges += meta.rangeTombstones.length;
			if (meta.size !== size) this.#find(`${tableFileName(id)} has ${meta.size} bytes, not ${size}`, backup);
		}
		const files = tables.length === 1 ? '1 file' : `${tables.length} files`;
		const deleted = `${tombstones} deletes, ${ranges} deleted ranges among them`;
		this.#lines.push(`level ${level}: ${files}, ${bytesText(bytes)}, ${entries} entries (${deleted})`);
	}

	#describeLog({ state }: ManifestContents): void {
		const facts: FileFacts[] = [...state.segments]
			.sort((a, b) => a - b)
			.map((id) => verifyFile(this.#fileSystem, this.#directory, { what: 'segment', id, mustReach: 0 }));
		const used = facts.filter(({ lastSequence }) => lastSequence > state.flushedSequence);
		const last = used.at(-1)?.lastSequence ?? state.flushedSequence;
		const bytes = used.reduce((sum, fact) => sum + fact.bytes, 0);
		this.#lines.push(
			`log: ${facts.length} segments; ${last - state.flushedSequence} sequence numbers to replay, after ` +
				`${state.flushedSequence} and up to ${last}, from ${used.length} segments with ${bytesText(bytes)}`,
		);
		for (const { file, offset, problem } of judge(this.#directory, facts, state.flushedSequence).problems) {
			const way = 'restore a backup; or start once with --damaged-log truncate, which keeps what is before the damage';
			this.#find(`${file}: at ${offset}: ${problem}`, `${way} (${this.#lossFrom(file, facts, state.flushedSequence)})`);
		}
	}

	/** What that way would cost. @param file the segment the log is cut at, or in */
	#lossFrom(file: string, facts: readonly FileFacts[], flushedSequence: number): string {
		const at = facts.findIndex(({ task }) => file === `${this.#directory}/${fileNameOf(task)}`);
		const before = Math.max(flushedSequence, ...facts.slice(0, at).map(({ lastSequence }) => lastSequence));
		// Nothing is kept of a segment that does not go on where the log before it ends.
		const kept = facts[at].firstSequence > before + 1 ? before : Math.max(before, facts[at].lastSequence);
		const ids = facts.slice(at).flatMap(({ task }) => (task.what === 'segment' ? [task.id] : []));
		const reader = new SegmentReader(this.#fileSystem, this.#directory);
		return lossText(this.#fileSystem, this.#directory, reader, ids, kept);
	}

	/** Files that the manifest does not name. */
	#describeRest(number: number, { state, promisesIds }: ManifestContents): void {
		const names = this.#fileSystem.list(this.#directory).sort();
		const newest = Math.max(0, ...state.segments);
		const dead: string[] = [];
		const unknown: string[] = [];
		for (const name of names) {
			if (promisesIds && tableIdOf(name) >= state.nextFileId) {
				const remedy = 'the manifest is an old one: restore a backup, or move that file away to give up what it holds';
				this.#find(`${name} is newer than anything the manifest knows of`, remedy);
			} else if (segmentIdOf(name) > newest && this.#holdsData(segmentIdOf(name))) {
				const remedy = 'restore a backup, or move that file away to give up what it holds';
				this.#find(`${name} holds data, though the manifest does not name it`, remedy);
			} else if (isOrphan(name, state, number)) dead.push(name);
			else if (!isKnown(name)) unknown.push(name);
		}
		this.#lines.push(names.includes(reserveFileName) ? 'a reserve file stands ready' : 'no reserve file');
		if (dead.length > 0) this.#lines.push(`left over, removed at the next opening: ${dead.join(', ')}`);
		const damaged = unknown.filter((name) => name.endsWith('.damaged'));
		if (damaged.length > 0) {
			const why = 'logs given up with --damaged-log truncate; delete them when you need them no longer';
			this.#lines.push(`kept: ${damaged.join(', ')}: ${why}`);
		}
		const others = unknown.filter((name) => !name.endsWith('.damaged'));
		if (others.length > 0) this.#lines.push(`not ours, left alone: ${others.join(', ')}`);
	}

	#holdsData(segmentId: number): boolean {
		const task = { what: 'segment', id: segmentId, mustReach: 0 } as const;
		return verifyFile(this.#fileSystem, this.#directory, task).lastSequence > 0;
	}

	#find(problem: string, remedy: string): void {
		this.#findings.push({ problem, remedy });
	}

	/** What went wrong with a file becomes a finding. */
	#try<T>(name: string, read: () => T): T | undefined {
		try {
			return read();
		} catch (error) {
			const { problem } = problemOf(`${this.#directory}/${name}`, error);
			const isNewer = hasCode(error, 'MILLRACE_FORMAT_NEWER');
			this.#find(`${name}: ${problem}`, isNewer ? 'open it with the newer Millrace that wrote it' : backup);
			return undefined;
		}
	}
}

/** A name that a live partition has, whatever the manifest says about it. */
function isKnown(name: string): boolean {
	return name === currentFileName || name === reserveFileName || /^(MANIFEST-\d{6,}|\d{8,}\.(wal|sst))$/.test(name);
}

export function examinePartition(fileSystem: FileSystem, directory: string): Examination {
	return new Examiner(fileSystem, directory).run();
}
