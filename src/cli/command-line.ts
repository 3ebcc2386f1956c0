/**
 * The command line: names, options and help of every command, and how errors become one sentence and an exit code.
 * Commands get a connected client and streams; nothing here knows how they work.
 */
import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { MillraceError } from '../base/errors.js';
import { partitionCountMax } from '../base/limits.js';
import { hostDefault, parseAddress, portDefault } from '../client/address.js';
import { type Client, connect, type PutOptions, type ScanSelection } from '../client/client.js';
import { type CommandIo, exitFailed, exitOk, exitUsage } from './command-io.js';
import { exportFile } from './export-command.js';
import { importFile } from './import-command.js';
import { adviceFor, deleteKeys, getKey, setKey } from './key-commands.js';

const { version } = createRequire(import.meta.url)('millrace/package.json') as { version: string };

const urlDefault = `millrace://${hostDefault}:${portDefault}`;

const mainHelp = `
Examples:
  millrace serve --dir ./data                    run a server (stop it with Ctrl-C)
  millrace set user:1 Ada && millrace get user:1
  millrace set session:9 on --ttl-ms 60000       gone after a minute
  millrace export backup.jsonl                   every record, one JSON object a line
  millrace import backup.jsonl --url millrace://10.0.0.5:7379
  millrace doctor ./data                         what is in a directory, and what is wrong with it
  millrace verify ./data                         read and check every byte of it
  redis-cli -p 7379 get user:1                   the same port speaks the Redis protocol

Exit codes:
  0  ok
  1  an error: no server, a bad file or line, a full disk; one line on standard error says which
  2  the command line is wrong
  3  the key was not found, or a condition of set was not met`;

const importHelp = `
Each line is one JSON object; bytes that are no UTF-8 text go as base64:
  {"key": "user:1", "value": "Ada"}
  {"keyBase64": "AP8=", "valueBase64": "/w==", "expiresAtMs": 1767225600000}

Examples:
  millrace import users.jsonl
  zcat dump.jsonl.gz | millrace import - --continue-on-error`;

const exportHelp = `
The lines are what import reads, and give the same bytes back. Writes made meanwhile may or may not be in the file.

Examples:
  millrace export backup.jsonl
  millrace export | gzip > backup.jsonl.gz
  millrace export users.jsonl --prefix user:
  millrace export --gte order:2026 --reverse --limit 10 --keys-only`;

const serveHelp = `
Examples:
  millrace serve
  millrace serve --dir /var/lib/millrace --host 0.0.0.0 --durability interval

Durability: 'always' answers a write when it is on the disk; 'interval' writes at once and syncs every second;
'none' leaves it to the operating system. The number of partitions is fixed when the directory is created.`;

const inspectHelp = `
Nothing is changed. The exit code is 0 when all is well, 1 when there are problems: each line says where, and what to do.`;

/**
 * Runs one command.
 * @param argv without node and script
 * @returns the exit code; errors are written to `io.stderr`
 */
export async function runCommandLine(argv: readonly string[], io: CommandIo): Promise<number> {
	let exitCode = exitOk;
	const program = makeProgram(io, (code) => {
		exitCode = code;
	});
	try {
		await program.parseAsync(argv, { from: 'user' });
		return exitCode;
	} catch (error) {
		if (error instanceof CommanderError) return error.exitCode === 0 ? exitOk : exitUsage;
		io.stderr.write(`millrace: ${describe(error)}\n`);
		return exitFailed;
	}
}

type SetExitCode = (code: number) => void;

function makeProgram(io: CommandIo, setExitCode: SetExitCode): Command {
	const program = new Command('millrace')
		.description('A persistent, sharded, multi-core key-value store.')
		.version(version, '--version', 'print the version')
		.exitOverride()
		.configureOutput({
			writeOut: (text) => io.stdout.write(text),
			writeErr: (text) => io.stderr.write(text),
		})
		.showHelpAfterError('(millrace --help, or --help after a command, says more)')
		.addHelpText('after', mainHelp);
	addServe(program, io, setExitCode);
	addInspection(program, io, setExitCode);
	addKeyCommands(program, io, setExitCode);
	addFileCommands(program, io, setExitCode);
	return program;
}

function addServe(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
	program
		.command('serve')
		.description('run a server on one port: Redis protocol, telnet text and msgpack')
		.option('--dir <directory>', 'where the data is; created when missing', './data')
		.option('--host <address>', 'address to listen on', hostDefault)
		.option('--port <number>', 'port to listen on; 0 lets the system choose', integerIn(0, 65_535), portDefault)
		.option(
			'--partitions <count>',
			'partitions of a new directory (default: by the cores of the machine)',
			integerIn(1, partitionCountMax),
		)
		.addOption(
			new Option('--durability <level>', 'when a write is answered')
				.choices(['always', 'interval', 'none'])
				.default('always'),
		)
		.addOption(
			new Option(
				'--damaged-log <choice>',
				'what to do when the log is damaged before its end: refuse to start, or cut it there',
			)
				.choices(['refuse', 'truncate'])
				.default('refuse'),
		)
		.addOption(new Option('--compaction <policy>', "'leveled' reads fastest, 'tiered' writes the least"))
		.addOption(new Option('--last-level-codec <codec>', "codec of the last level: 'lz4', or 'zstd' for less space"))
		.option(
			'--compaction-bytes-per-second <bytes>',
			'what all compactions may write together (default: no limit)',
			bytes,
		)
		.option('--disk-budget <bytes>', 'what all files may take; beyond, puts are refused (default: no limit)', bytes)
		.option('--reserve-file-size <bytes>', 'kept by each partition for deletes on a full disk (default: 64 MiB)', bytes)
		.addHelpText('after', serveHelp)
		.action(async ({ dir: directory, ...options }) => {
			// Only now, because a client command needs none of the engine.
			const { serve } = await import('./serve-command.js');
			setExitCode(await serve({ directory, ...options }, io));
		});
}

/** Commands that look at a directory, without a server. */
function addInspection(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
	const write = (line: string): void => {
		io.stdout.write(`${line}\n`);
	};
	program
		.command('doctor')
		.description('explain what a data directory holds, and what is wrong with it; the server must be stopped')
		.argument('<directory>')
		.addHelpText('after', inspectHelp)
		.action(async (directory: string) => {
			const { doctorDirectory } = await import('../server/inspect-directory.js');
			setExitCode(doctorDirectory(directory, write) ? exitOk : exitFailed);
		});
	program
		.command('verify')
		.description('read and check every byte of a data directory; the server must be stopped')
		.argument('<directory>')
		.addHelpText('after', inspectHelp)
		.action(async (directory: string) => {
			const { verifyDirectory } = await import('../server/inspect-directory.js');
			setExitCode(verifyDirectory(directory, write) ? exitOk : exitFailed);
		});
}

function addKeyCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
	withUrl(program.command('get'))
		.description('write the value of a key to standard output')
		.argument('<key>')
		.action(async (key: string, { url }) => {
			setExitCode(await withClient(url, (client) => getKey(client, key, io)));
		});
	withUrl(program.command('set'))
		.description('set a key')
		.argument('<key>')
		.argument('<value>', "the value; '-' reads it from standard input")
		.option('--ttl-ms <milliseconds>', 'expire after this time', integerIn(1, Number.MAX_SAFE_INTEGER))
		.addOption(new Option('--if-absent', 'only when the key does not exist').conflicts('ifPresent'))
		.option('--if-present', 'only when the key exists')
		.action(async (key: string, value: string, { url, ...options }: { url: string } & PutOptions) => {
			setExitCode(await withClient(url, (client) => setKey(client, key, value, options, io)));
		});
	withUrl(program.command('del'))
		.description('delete keys')
		.argument('<keys...>')
		.action(async (keys: string[], { url }) => {
			setExitCode(await withClient(url, (client) => deleteKeys(client, keys, io)));
		});
}

function addFileCommands(program: Command, io: CommandIo, setExitCode: SetExitCode): void {
	withUrl(program.command('import'))
		.description('load records from a JSON-lines file')
		.argument('<file>', "the file; '-' is standard input")
		.option('--continue-on-error', 'report bad lines and go on; the exit code is 1 if there were any', false)
		.addHelpText('after', importHelp)
		.action(async (file: string, { url, continueOnError }) => {
			setExitCode(await withClient(url, (client) => importFile(client, file, { continueOnError }, io)));
		});
	withUrl(program.command('export'))
		.description('write records as JSON lines, in the order of their keys')
		.argument('[file]', "the file; '-' is standard output", '-')
		.option('--prefix <text>', 'only keys that begin with this')
		.option('--gte <key>', 'only keys from this one on')
		.addOption(new Option('--gt <key>', 'only keys above this one').conflicts('gte'))
		.option('--lte <key>', 'only keys up to this one')
		.addOption(new Option('--lt <key>', 'only keys below this one').conflicts('lte'))
		.option('--reverse', 'from the last key to the first')
		.option('--limit <count>', 'records at most', integerIn(0, Number.MAX_SAFE_INTEGER))
		.option('--keys-only', 'without the values; such lines cannot be imported')
		.addHelpText('after', exportHelp)
		.action(async (file: string, { url, ...selection }: { url: string } & ScanSelection) => {
			setExitCode(await withClient(url, (client) => exportFile(client, file, selection, io)));
		});
}

function withUrl(command: Command): Command {
	return command.option('--url <url>', 'the server to talk to', mustUrl, urlDefault);
}

function mustUrl(text: string): string {
	try {
		parseAddress(text);
	} catch (error) {
		throw new InvalidArgumentError(error instanceof Error ? `${error.message}.` : '');
	}
	return text;
}

async function withClient(url: string, run: (client: Client) => Promise<number>): Promise<number> {
	const client = await connect(url);
	try {
		return await run(client);
	} finally {
		await client.close();
	}
}

/** The range is the engine's to check. */
function bytes(text: string): number {
	if (/^\d{1,15}$/.test(text)) return Number(text);
	throw new InvalidArgumentError('It is a number of bytes.');
}

function integerIn(min: number, max: number): (text: string) => number {
	return (text) => {
		const value = Number(text);
		if (/^\d+$/.test(text) && value >= min && value <= max) return value;
		throw new InvalidArgumentError(`It is an integer from ${min} to ${max}.`);
	};
}

/** One sentence with its code, and what to do. */
function describe(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	const code = error instanceof MillraceError ? ` (${error.code})` : '';
	const advice = adviceFor(error);
	return `${error.message}${code}${advice === '' ? '' : `; ${advice}`}`;
}
