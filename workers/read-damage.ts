/** Tells errors that belong to one read, a damaged or unreadable block, from those that should not happen. */
import { MillraceError, systemCodeOf } from '../src/base/errors.js';

/** The coded error for whoever asked. @throws what is neither ours nor the system's */
export function mustBeDamage(error: unknown): MillraceError {
	if (error instanceof MillraceError) return error;
	if (systemCodeOf(error) === '') throw error;
	return new MillraceError('MILLRACE_CORRUPT', `a file could not be read: ${String(error)}`, { cause: error });
}
