/** A worker of the pool's test: takes the next number of those that have begun, then holds its thread until it is released. */
interface HeldJob {
	readonly kind: string;
	/** Word 0: released; word 1: its number. */
	readonly gate: SharedArrayBuffer;
	/** Word 0: jobs begun. */
	readonly begun: SharedArrayBuffer;
}

export default function holdThread({ job }: { job: HeldJob }): { result: string } {
	const words = new Int32Array(job.gate);
	Atomics.store(words, 1, Atomics.add(new Int32Array(job.begun), 0, 1) + 1);
	while (Atomics.load(words, 0) === 0) Atomics.wait(words, 0, 0, 50);
	return { result: job.kind };
}
