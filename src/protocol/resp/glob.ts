/**
 * Patterns as Redis has them: * any text, ? one character, [abc] [a-z] [^a] one of a set, \x literally x.
 * Iterative with one backtrack point (the last star), so no pattern takes more than pattern x text steps.
 */

/** End of the set that starts at `pattern[at]` === '[': the index of its ']', or of the last character. */
function setEnd(pattern: string, at: number): number {
	for (let i = at + 1; i < pattern.length; i++) {
		if (pattern[i] === '\\') i++;
		else if (pattern[i] === ']') return i;
	}
	return pattern.length - 1;
}

function isInSet(set: string, character: string): boolean {
	const isNegated = set.startsWith('^');
	let isFound = false;
	for (let i = isNegated ? 1 : 0; i < set.length; i++) {
		if (set[i] === '\\' && i + 1 < set.length) i++;
		const first = set[i] as string;
		if (set[i + 1] === '-' && i + 2 < set.length) {
			const last = set[i + 2] as string;
			isFound ||= (first <= character && character <= last) || (last <= character && character <= first);
			i += 2;
		} else {
			isFound ||= first === character;
		}
	}
	return isFound !== isNegated;
}

/** How many pattern characters match `character` at `at`: 0 when they do not. */
function matchOne(pattern: string, at: number, character: string): number {
	const symbol = pattern[at];
	if (symbol === '?') return 1;
	if (symbol === '[') {
		const end = setEnd(pattern, at);
		return isInSet(pattern.slice(at + 1, end), character) ? end + 1 - at : 0;
	}
	if (symbol === '\\' && at + 1 < pattern.length) return pattern[at + 1] === character ? 2 : 0;
	return symbol === character ? 1 : 0;
}

/** True when all of `text` matches `pattern`. Case counts. */
export function matchesGlob(pattern: string, text: string): boolean {
	let patternAt = 0;
	let textAt = 0;
	let starAt = -1;
	let starTextAt = 0;
	while (textAt < text.length) {
		if (pattern[patternAt] === '*') {
			starAt = ++patternAt;
			starTextAt = textAt;
			continue;
		}
		const size = patternAt < pattern.length ? matchOne(pattern, patternAt, text[textAt] as string) : 0;
		if (size > 0) {
			patternAt += size;
			textAt++;
		} else if (starAt >= 0) {
			patternAt = starAt;
			textAt = ++starTextAt;
		} else {
			return false;
		}
	}
	while (pattern[patternAt] === '*') patternAt++;
	return patternAt === pattern.length;
}
