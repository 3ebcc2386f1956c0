/** The seed of a random test: MILLRACE_SEED when given, else a fresh one; printed, so that any failure can be run again. */
export function testSeed(name: string): number {
	const given = process.env.MILLRACE_SEED;
	const seed = given === undefined ? (Math.random() * 2 ** 32) >>> 0 : Number(given);
	console.log(`${name}: MILLRACE_SEED=${seed}`);
	return seed;
}
