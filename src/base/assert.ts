/**
 * Assertions: what must hold. A failed assertion is a programmer error, never an operating error:
 * it throws at once and the thread it happens in stops. Messages carry the numbers that disagreed.
 */

/** Thrown by `assert`; nobody catches it to carry on. */
export class AssertionError extends Error {
	override readonly name = 'AssertionError';
}

/** @throws AssertionError when `condition` does not hold. Build dear messages lazily, outside hot loops. */
export function assert(condition: boolean, message: string): asserts condition {
	if (!condition) throw new AssertionError(message);
}

/** Marks a branch the types say cannot be reached. @throws AssertionError always. */
export function unreachable(value: never, what: string): never {
	throw new AssertionError(`unreachable ${what}: ${String(value)}`);
}
