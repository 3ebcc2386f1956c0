#!/usr/bin/env node
/** The `millrace` command: the process around the command line. */
import { runCommandLine } from './command-line.js';

/** How long what a command left behind (a worker, a socket) may take to end. */
const endTimeoutMs = 1_000;

// A reader that went away (`millrace export | head`) is the end of the job, not an error to report.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
	if (error.code === 'EPIPE') process.exit(0);
	throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), process);

// Whatever still holds the event loop a while after the end is not worth waiting for.
setTimeout(() => process.exit(), endTimeoutMs).unref();
