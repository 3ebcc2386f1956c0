/**
 * Every protocol step of a partition, crashed at every journal position: creation, groups, rotation, recycling, flush, merge,
 * clear, and reopening. See test/support/partition-crashes.ts for what is checked.
 *
 * MILLRACE_CRASH_STATES: crash states for each position (6 by default).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/base/prng.js';
import { opClear, opDelete } from '../../src/command/command-format.js';
import type { FileHandle, FileLock, FileSystem, OpenMode } from '../../src/env/ports.js';
import { randomCommand } from '../support/partition-commands.js';
import { CrashScenario, checkCrashes, type ScenarioOptions } from '../support/partition-crashes.js';
import { testSeed } from '../support/seed.js';
import type { SimulatedDisk } from '../support/simulated-disk.js';

const perPosition = Number(process.env.MILLRACE_CRASH_STATES ?? 6);
const value = (i: number, size: number): string => `${i}:`.padEnd(size, String.fromCharCode(97 + (i % 26)));

type Script = (scenario: CrashScenario, prng: Prng) => void;

const scripts: Record<string, Script> = {
	'a new directory and its first groups': (scenario) => {
		for (let i = 0; i < 4; i++) {
			scenario.put(`key${i}`, value(i, 100 + i * 400));
			scenario.commit();
		}
	},
	'many groups in one write, and rotation to the next segments': (scenario) => {
		scenario.harness.settle();
		for (let i = 0; i < 24; i++) {
			scenario.put(`key${i % 5}`, value(i, 700));
			if (i % 2 === 0) scenario.put(`more${i % 3}`, value(i, 30));
			scenario.harness.endDrain();
			if (i % 4 === 3) scenario.commit();
			if (i % 8 === 7) scenario.harness.settle();
		}
		scenario.commit();
	},
	'flushes release segments, which are recycled': (scenario) => {
		for (let i = 0; i < 40; i++) {
			scenario.put(`key${i % 9}`, value(i, 900));
			if (i % 3 === 0) scenario.execute({ opcode: opDelete, key: `key${(i * 5) % 9}` });
			scenario.commit();
			if (i % 10 === 9) scenario.harness.flush();
		}
		assert(scenario.harness.recycleCount > 1, 'segments were recycled');
	},
	'merges replace tables': (scenario) => {
		for (let i = 0; i < 30; i++) {
			scenario.put(`key${i % 7}`, value(i, 60));
			if (i % 4 === 0) scenario.execute({ opcode: opDelete, key: `key${(i * 3) % 7}` });
			if (i % 2 === 1) scenario.commit();
			if (i % 3 === 2) scenario.harness.flush();
		}
		assert(scenario.harness.partition.maintenance.mergeCount > 0, 'a merge took place');
	},
	'clears, in the middle of everything': (scenario) => {
		for (let i = 0; i < 24; i++) {
			scenario.put(`key${i % 7}`, value(i, 500));
			if (i % 5 === 4) scenario.harness.flush();
			if (i % 6 === 5) {
				scenario.execute({ opcode: opClear });
				scenario.put('after', value(i, 50));
			}
			if (i % 3 === 2) scenario.commit();
		}
	},
	'reopening, cleanly and not': (scenario) => {
		for (let i = 0; i < 20; i++) {
			scenario.put(`key${i % 7}`, value(i, 700));
			if (i % 4 === 3) scenario.reopen(i % 8 === 3);
			if (i % 7 === 6) scenario.harness.settle();
		}
		scenario.reopen(true);
	},
	'jobs done long before the log hears of it': (scenario) => {
		const { harness } = scenario;
		for (let i = 0; i < 48; i++) {
			scenario.put(`key${i % 9}`, value(i, 500));
			if (i % 3 === 2) harness.partition.maybeRotate();
			harness.endDrain();
			harness.takeNews();
			while (harness.runJob()) harness.takeNews();
			if (i % 16 === 15) scenario.commit();
			harness.takeNews();
		}
		assert(harness.recycleCount > 0 && harness.partition.maintenance.mergeCount > 0);
		scenario.commit();
	},
	'everything by chance': (scenario, prng) => {
		for (let i = 0; i < 160; i++) {
			scenario.nowMs += prng.below(200);
			scenario.harness.nowMs = scenario.nowMs;
			scenario.execute(
				randomCommand(prng, scenario.nowMs, { keyCount: 25, valueSizeMax: 500, readPercent: 10, clearPerMille: 15 }),
			);
			if (prng.chance(0.3)) scenario.harness.endDrain();
			if (prng.chance(0.2)) scenario.commit();
			if (prng.chance(0.08)) scenario.harness.runJob(prng);
			if (prng.chance(0.04)) scenario.harness.settle();
			if (prng.chance(0.04)) scenario.harness.flush();
			if (prng.chance(0.02)) scenario.reopen(prng.chance(0.5));
			if (scenario.durability !== 'always' && prng.chance(0.05)) scenario.sync();
		}
	},
};

function run(name: string, seed: number, options: ScenarioOptions): number {
	const prng = new Prng(seed);
	const scenario = new CrashScenario(options);
	scripts[name](scenario, prng);
	return checkCrashes(scenario, { prng, perPosition });
}

for (const name of Object.keys(scripts)) {
	test(`crashes: ${name}`, () => {
		const seed = testSeed(name);
		const count = run(name, seed, {});
		console.log(`${name}: ${count} crash states`);
		assert(count > 50, `${count} crash states`);
	});
}

for (const durability of ['interval', 'none'] as const) {
	test(`crashes: some prefix of the commands with durability '${durability}'`, () => {
		const seed = testSeed(durability);
		let count = 0;
		for (const name of [
			'many groups in one write, and rotation to the next segments',
			'reopening, cleanly and not',
			'jobs done long before the log hears of it',
			'everything by chance',
		]) {
			count += run(name, seed, { durability });
		}
		assert(count > 200, `${count} crash states`);
	});
}

/** Passes everything on to a disk, but not the syncs it was told to forget. */
class LyingFileSystem implements FileSystem {
	readonly #disk: SimulatedDisk;
	readonly #forgets: 'sync' | 'syncDirectory';

	constructor(disk: SimulatedDisk, forgets: 'sync' | 'syncDirectory') {
		this.#disk = disk;
		this.#forgets = forgets;
	}

	open(path: string, mode: OpenMode): FileHandle {
		const file = this.#disk.open(path, mode);
		if (this.#forgets === 'sync') file.sync = () => undefined;
		return file;
	}

	syncDirectory(path: string): void {
		if (this.#forgets !== 'syncDirectory') this.#disk.syncDirectory(path);
	}

	exists(path: string): boolean {
		return this.#disk.exists(path);
	}

	list(directory: string): string[] {
		return this.#disk.list(directory);
	}

	makeDirectory(path: string): void {
		this.#disk.makeDirectory(path);
	}

	rename(source: string, target: string): void {
		this.#disk.rename(source, target);
	}

	remove(path: string): void {
		this.#disk.remove(path);
	}

	lock(path: string, owner: string): FileLock | string {
		return this.#disk.lock(path, owner);
	}
}

for (const forgets of ['sync', 'syncDirectory'] as const) {
	test(`canary: a file system whose ${forgets} does nothing is caught`, () => {
		const seed = testSeed(`canary ${forgets}`);
		const wrap = (disk: SimulatedDisk): FileSystem => new LyingFileSystem(disk, forgets);
		for (const name of Object.keys(scripts)) {
			assert.throws(() => run(name, seed, { wrap }), /acknowledged/, `${name} notices nothing`);
		}
	});
}
