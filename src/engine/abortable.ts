/**
 * AbortSignals, the same way everywhere: looked at before something is begun, and listened to only while it is waited for.
 * What was begun goes on to its end, unheard.
 */

/** @throws TypeError for what is no signal */
export function checkSignal(signal: AbortSignal | undefined): void {
	if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal is an AbortSignal');
}

/**
 * Begins something and waits for it, or until the signal is aborted. The signal holds on to nothing afterwards, so one that lives
 * long costs nothing.
 * @throws the signal's reason; what `work` throws
 */
export async function abortable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
	if (signal === undefined) return work();
	signal.throwIfAborted();
	let onAbort = (): void => undefined;
	const aborted = new Promise<never>((_, reject) => {
		onAbort = () => reject(signal.reason);
		signal.addEventListener('abort', onAbort, { once: true });
	});
	try {
		return await Promise.race([work(), aborted]);
	} finally {
		signal.removeEventListener('abort', onAbort);
	}
}
