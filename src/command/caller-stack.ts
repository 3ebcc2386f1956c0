/**
 * Where something was made, for a warning that may come much later. Text at once: an Error that is not yet asked for its stack
 * holds on to the `this` of every frame, and so, often, to the very thing whose loss is to be noticed.
 */

const frameCount = 6;

/** A function or a class. */
type Above = ((...given: never[]) => unknown) | (abstract new (...given: never[]) => unknown);

/** The frames that called `above`, as lines. Some microseconds. */
export function callerStack(above: Above): string {
	const limit = Error.stackTraceLimit;
	Error.stackTraceLimit = frameCount;
	const trace = { stack: '' };
	Error.captureStackTrace(trace, above);
	Error.stackTraceLimit = limit;
	return trace.stack.split('\n').slice(1).join('\n').trim();
}
