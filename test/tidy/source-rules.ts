/** Rules on the shape of single source files. Each takes files and returns problems, so that fixtures can break it. */
import type { RepositoryFile } from './repository.js';
import { functionSpans, scanSource } from './source-scanner.js';

export const fileLineCountMax = 400;
export const functionLineCountMax = 70;
/** The formatter breaks code at 110 columns; this leaves comments and strings, which it cannot break, a little room. */
export const lineColumnCountMax = 130;
const tabColumnCount = 2;

type Rule = (file: RepositoryFile) => string[];

const linesOf = (text: string) => text.replace(/\n$/, '').split('\n');

export const fileLength: Rule = ({ path, text }) => {
	const count = linesOf(text).length;
	return count > fileLineCountMax ? [`${path}: ${count} lines, at most ${fileLineCountMax}`] : [];
};

export const functionLength: Rule = ({ path, text }) =>
	functionSpans(scanSource(text).code)
		.filter(({ lineCount }) => lineCount > functionLineCountMax)
		.map(({ line, lineCount }) => `${path}:${line}: a function of ${lineCount} lines, at most ${functionLineCountMax}`);

export const lineLength: Rule = ({ path, text }) =>
	linesOf(text).flatMap((line, i) => {
		const columnCount = line.replaceAll('\t', ' '.repeat(tabColumnCount)).length;
		return columnCount > lineColumnCountMax
			? [`${path}:${i + 1}: ${columnCount} columns, at most ${lineColumnCountMax}`]
			: [];
	});

/** Spelled in two halves so that the rule does not find itself. */
const postponed = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'];
const postponements = new RegExp(`\\b(?:${postponed.join('|')})\\b`);

export const noPostponements: Rule = ({ path, text }) =>
	linesOf(text).flatMap((line, i) =>
		postponements.test(line) ? [`${path}:${i + 1}: do it or open an issue: ${line.trim()}`] : [],
	);

export const opensWithModel: Rule = ({ path, text }) =>
	/^(?:#!.*\n)?\/\*\*/.test(text) ? [] : [`${path}: does not open with a comment that says what it is`];

/** A skip with a condition is allowed: it names the machine it cannot run on. */
export const noSkippedTests: Rule = ({ path, text }) => {
	const { code } = scanSource(text);
	const found = code.match(/\b(?:test|it|describe|suite)\s*\.\s*(?:only|skip|todo)\b|\b(?:only|skip|todo): true\b/g);
	return (found ?? []).map((call) => `${path}: ${call}: every test runs`);
};
