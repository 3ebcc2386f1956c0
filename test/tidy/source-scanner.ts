/**
 * Reads TypeScript just well enough for the tidy rules: which characters are code, and how long functions are.
 * (The compiler has no API for this any more; a scanner that knows strings, templates, comments and regular
 * expressions is enough and is tested beside.) Blanking keeps every character's place, so lines and offsets stay true.
 */

export interface ScannedSource {
	/** The text with comments, strings, template text and regular expressions blanked by spaces. */
	readonly code: string;
	/** The text with only comments blanked: for import paths. */
	readonly uncommented: string;
}

/** After these, a slash starts a regular expression; after anything else it divides. */
const beforeRegex = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|await|void))\s*$/;

/** The end of a quoted string, or of the line when it is broken off. */
function endOfString(text: string, start: number): number {
	let at = start + 1;
	while (at < text.length && text[at] !== text[start] && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
	return at + 1;
}

function endOfRegex(text: string, start: number): number {
	let isInClass = false;
	let at = start + 1;
	for (; at < text.length && text[at] !== '\n'; at++) {
		if (text[at] === '\\') at++;
		else if (text[at] === '[') isInClass = true;
		else if (text[at] === ']') isInClass = false;
		else if (text[at] === '/' && !isInClass) break;
	}
	return at + 1;
}

/** The end of template text: behind the closing backtick, or behind the `${` that starts an expression. */
function endOfTemplateText(text: string, start: number): number {
	for (let at = start; at < text.length; at++) {
		if (text[at] === '\\') at++;
		else if (text[at] === '`') return at + 1;
		else if (text[at] === '$' && text[at + 1] === '{') return at + 2;
	}
	return text.length;
}

const blank = (text: string) => text.replace(/[^\n]/g, ' ');

export function scanSource(text: string): ScannedSource {
	let code = '';
	let uncommented = '';
	/** For each template expression we are in: how many braces are open inside it. */
	const braces: number[] = [];
	const take = (end: number, isComment: boolean) => {
		const part = text.slice(code.length, end);
		code += blank(part);
		uncommented += isComment ? blank(part) : part;
	};
	const takeTemplateText = (start: number) => {
		const end = endOfTemplateText(text, start);
		take(end, false);
		if (text[end - 1] === '{') braces.push(0);
	};
	while (code.length < text.length) {
		const at = code.length;
		const character = text[at] as string;
		if (text.startsWith('//', at) || (at === 0 && text.startsWith('#!'))) {
			const end = text.indexOf('\n', at);
			take(end < 0 ? text.length : end, true);
		} else if (text.startsWith('/*', at)) {
			const end = text.indexOf('*/', at + 2);
			take(end < 0 ? text.length : end + 2, true);
		} else if (character === "'" || character === '"') {
			take(endOfString(text, at), false);
		} else if (character === '`') {
			takeTemplateText(at + 1);
		} else if (character === '/' && beforeRegex.test(code.slice(-80))) {
			take(endOfRegex(text, at), false);
		} else if (character === '}' && braces.at(-1) === 0) {
			braces.pop();
			takeTemplateText(at + 1);
		} else {
			if (braces.length > 0 && character === '{') braces.push((braces.pop() as number) + 1);
			if (braces.length > 0 && character === '}') braces.push((braces.pop() as number) - 1);
			code += character;
			uncommented += character;
		}
	}
	return { code, uncommented };
}

export interface FunctionSpan {
	/** Line of the opening brace, from 1. */
	readonly line: number;
	/** Lines from the opening to the closing brace, both included. */
	readonly lineCount: number;
}

const openingOf: Record<string, string> = { ')': '(', '}': '{' };

/** Where the bracket opens that closes at `end`; -1 when it does not. */
function matchBack(code: string, end: number): number {
	const close = code[end] as string;
	const open = openingOf[close];
	let depth = 0;
	for (let at = end; at >= 0; at--) {
		if (code[at] === close) depth++;
		else if (code[at] === open && --depth === 0) return at;
	}
	return -1;
}

/** What stands before parentheses that are no parameters. */
const controlWord = /\b(?:(?:if|for|while|switch|catch|with|await)|extends\s+[\w.]+)$/;
/** After these a brace opens a type or a literal. */
const beforeType = /[:|&,<([=?]$/;

/** Whether the brace at `at` opens a function body: after an arrow, or after parameters and perhaps a return type. */
function opensFunction(code: string, at: number): boolean {
	const before = code.slice(0, at).trimEnd();
	if (before.endsWith('=>')) return true;
	if (beforeType.test(before)) return false;
	const isAfterParameters = (closing: number) =>
		!controlWord.test(code.slice(0, Math.max(0, matchBack(code, closing))).trimEnd());
	if (before.endsWith(')')) return isAfterParameters(before.length - 1);
	// A return type: walk back over it to the `):` it starts with. Statements, initializers and blocks end the walk.
	for (let back = before.length - 1; back > 0; back--) {
		const character = before[back] as string;
		if (character === '}') {
			back = matchBack(before, back);
			if (!beforeType.test(before.slice(0, Math.max(0, back)).trimEnd())) return false;
		} else if (/[;{]/.test(character) || (character === '=' && before[back + 1] !== '>')) return false;
		else if (character === ')') {
			if (/^\)\s*:/.test(before.slice(back))) return isAfterParameters(back);
			back = matchBack(before, back);
		}
	}
	return false;
}

/** Every function body of a scanned source. */
export function functionSpans(code: string): FunctionSpan[] {
	const spans: FunctionSpan[] = [];
	const open: { line: number; isFunction: boolean }[] = [];
	let line = 1;
	for (let at = 0; at < code.length; at++) {
		if (code[at] === '\n') line++;
		else if (code[at] === '{') open.push({ line, isFunction: opensFunction(code, at) });
		else if (code[at] === '}') {
			const start = open.pop();
			if (start?.isFunction) spans.push({ line: start.line, lineCount: line - start.line + 1 });
		}
	}
	return spans;
}

export interface ImportStatement {
	/** As written: './a.js', 'node:fs', 'piscina'. */
	readonly specifier: string;
	/** Erased by the compiler: `import type` and `export type`. */
	readonly isTypeOnly: boolean;
}

const importPatterns = [
	/\b(?:import|export)\s+(type\s+)?(?:[\w$*{][^'";]*?)\bfrom\s*['"]([^'"]+)['"]/g,
	/\bimport\s*\(?()\s*['"]([^'"]+)['"]/g,
];

/** Static, dynamic and re-exporting imports; not what merely looks like one inside a string. */
export function importsOf(source: ScannedSource): ImportStatement[] {
	const found: ImportStatement[] = [];
	for (const pattern of importPatterns) {
		for (const match of source.uncommented.matchAll(pattern)) {
			if (source.code[match.index] === ' ') continue;
			found.push({ specifier: match[2] as string, isTypeOnly: Boolean(match[1]) });
		}
	}
	return found;
}
