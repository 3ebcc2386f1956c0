/**
 * The entry point of the background pool's threads (piscina): does one job of one partition and returns its outcome as plain
 * data. Holds nothing between jobs.
 */
import { nodeClock } from '../src/env/node-clock.js';
import { NodeFileSystem } from '../src/env/node-file-system.js';
import { type Job, type JobFailure, type JobResult, jobFailureOf, runJob } from '../src/storage/lsm/upkeep/jobs.js';

export interface JobOutcome {
	readonly result?: JobResult;
	readonly failure?: JobFailure;
}

const fileSystem = new NodeFileSystem();

export default function runBackgroundJob(task: { directory: string; job: Job }): JobOutcome {
	try {
		return { result: runJob(fileSystem, task.directory, task.job, nodeClock) };
	} catch (error) {
		return { failure: jobFailureOf(error) };
	}
}
