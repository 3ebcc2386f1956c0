/**
 * What the tidy rules let pass, with reasons. This list only ever gets shorter: an exception that no longer excuses
 * anything fails the test, and so does a new problem.
 */
export interface Exception {
	/** A problem is excused when it starts with this. */
	readonly problem: string;
	readonly reason: string;
}

export const exceptions: readonly Exception[] = [];

/** Problems that no exception excuses, and exceptions that excuse nothing. */
export function unexcused(problems: readonly string[], excuses: readonly Exception[] = exceptions): string[] {
	return problems.filter((problem) => !excuses.some((excuse) => problem.startsWith(excuse.problem)));
}

export function staleExceptions(problems: readonly string[], excuses: readonly Exception[] = exceptions): string[] {
	return excuses
		.filter((excuse) => !problems.some((problem) => problem.startsWith(excuse.problem)))
		.map((excuse) => `exception no longer needed: ${excuse.problem}`);
}
