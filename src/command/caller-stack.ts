/**
 * Where something was made, for a warning that may come much later. Text at once: an Error that is not yet asked for its stack
 * holds on to the `this` of every frame, and so, often, to the very thing whose loss is to be noticed.
 */

/** Frames kept, and as many more that may be of this package: the program is told of its own. */
const frameCount = 6;
const ownFolder = new URL('../', import.meta.url).href;

/** A function or a class. */
type Above = ((...given: never[]) => unknown) | (abstract new (...given: never[]) => unknown);

/** The program's frames that called `above`, as lines. Some microseconds. */
export function callerStack(above: Above): string {
	const limit = Error.stackTraceLimit;
	Error.stackTraceLimit = 2 * frameCount;
	const trace = { stack: '' };
	Error.captureStackTrace(trace, above);
	Error.stackTraceLimit = limit;
	const frames = trace.stack.split('\n').slice(1);
	const others = frames.filter((frame) => !frame.includes(ownFolder));
	return (others.length > 0 ? others : frames).slice(0, frameCount).join('\n').trim();
}
