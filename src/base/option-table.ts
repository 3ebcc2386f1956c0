/**
 * Options as rows of a table: what each may be, what it is when nobody says, and what it means. One function checks any table, so
 * that a bad value is refused with its range, and an unknown name with the names there are, wherever it comes in: the partition,
 * `open`, the server's flags.
 */
import { MillraceError } from './errors.js';

export interface NumberRow {
	readonly kind: 'number';
	readonly default: number;
	readonly least: number;
	readonly most: number;
	/** Allowed beside the range: 0, which switches the thing off. */
	readonly mayBeZero?: boolean;
	readonly multipleOf?: number;
	/** What is counted: bytes, ms, … */
	readonly unit: string;
	readonly words: string;
}

export interface ChoiceRow {
	readonly kind: 'choice';
	readonly default: string;
	readonly choices: readonly string[];
	readonly words: string;
}

export type OptionRow = NumberRow | ChoiceRow;
export type OptionTable = Readonly<Record<string, OptionRow>>;

/** What a row allows, for messages and help. */
export function rangeText(row: OptionRow): string {
	if (row.kind === 'choice') return `one of ${row.choices.join(', ')}`;
	const zero = row.mayBeZero === true && row.least > 0 ? '0, or ' : '';
	const multiple = row.multipleOf === undefined ? '' : `, a multiple of ${row.multipleOf}`;
	return `${zero}a whole number from ${row.least} to ${row.most}${multiple} (${row.unit})`;
}

/** @throws MILLRACE_OPTION with the name and what is allowed */
export function checkOption(name: string, row: OptionRow, value: unknown): void {
	if (isAllowed(row, value)) return;
	throw new MillraceError('MILLRACE_OPTION', `${name} is ${rangeText(row)}, not ${shown(value)}`);
}

/**
 * Checks every option given; `undefined` counts as not given.
 * @param others names that the caller checks itself
 * @throws MILLRACE_OPTION also for a name that is in neither
 */
export function checkOptions(table: OptionTable, given: object, others: readonly string[] = []): void {
	for (const [name, value] of Object.entries(given)) {
		if (value === undefined || others.includes(name)) continue;
		const row = Object.hasOwn(table, name) ? table[name] : undefined;
		if (row === undefined) {
			const names = [...Object.keys(table), ...others].sort().join(', ');
			throw new MillraceError('MILLRACE_OPTION', `there is no option '${name}'; there are ${names}`);
		}
		checkOption(name, row, value);
	}
}

function isAllowed(row: OptionRow, value: unknown): boolean {
	if (row.kind === 'choice') return typeof value === 'string' && row.choices.includes(value);
	if (typeof value !== 'number' || !Number.isInteger(value)) return false;
	if (value === 0 && row.mayBeZero === true) return true;
	return value >= row.least && value <= row.most && value % (row.multipleOf ?? 1) === 0;
}

function shown(value: unknown): string {
	return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value);
}
