/**
 * Runs the test suite that abstract-level publishes, with tape, its runner, inside one test of node:test. Nothing of it is left
 * out but what the manifest of the level given excludes by itself.
 */
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import type { MillraceLevel } from '../../src/level/index.js';

const require = createRequire(import.meta.url);

/** A row of tape's report: a test begins, something was asserted, a test ends. */
interface TapeRow {
	readonly type: 'test' | 'assert' | 'end';
	readonly name?: string;
	readonly ok?: boolean;
	readonly skip?: unknown;
	readonly todo?: unknown;
	readonly expected?: unknown;
	readonly actual?: unknown;
	readonly error?: unknown;
}

interface Harness {
	readonly createStream: (options: { objectMode: true }) => EventEmitter;
}

export interface SuiteCount {
	readonly tests: number;
	readonly assertions: number;
}

type Part = (test: unknown, testCommon: unknown) => void;
type Parts = ((options: object) => void) & { readonly common: (options: object) => unknown };

const suite = require('abstract-level/test/index.js') as Parts;
const partOf = (name: string): Part => {
	const part = require(`abstract-level/test/${name}-test.js`) as Part & { readonly all?: Part };
	return part.all ?? part;
};

/** The files of the suite that are about opening and finding a database. */
export function openingParts(options: object): void {
	const common = suite.common(options);
	const names = ['factory', 'manifest', 'open', 'open-create-if-missing', 'open-error-if-exists', 'put-get-del'];
	for (const name of names) partOf(name)((options as { test: unknown }).test, common);
}

/**
 * @param factory makes a new level on a new place, each time; the suite opens and closes it
 * @param parts what to run: the whole suite
 */
export async function runAbstractSuite(
	factory: (options?: object) => MillraceLevel,
	parts: (options: object) => void = suite,
): Promise<SuiteCount> {
	const tape = require('tape') as { createHarness: (options?: object) => Harness };
	const harness = tape.createHarness({ autoclose: true });
	const report = harness.createStream({ objectMode: true });
	parts({ test: harness, factory });
	let title = '';
	let tests = 0;
	let assertions = 0;
	const failures: string[] = [];
	report.on('data', (row: TapeRow) => {
		if (row.type === 'test') {
			title = row.name ?? '';
			tests++;
		}
		if (row.skip) failures.push(`${title}: skipped`);
		if (row.type !== 'assert') return;
		assertions++;
		if (row.ok !== true) failures.push(`${title}: ${row.name}: ${String(row.error ?? '')} ${String(row.actual)}`);
	});
	await once(report, 'end');
	assert.deepEqual(failures, []);
	return { tests, assertions };
}
