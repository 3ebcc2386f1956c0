/**
 * The table of RESP commands: name, arity, handler. Names are found through an upper-case string, which is fine off
 * the fast path (GET and SET with plain arguments never come here). Handlers: command-context.ts says what they return.
 */
import {
	opAppend,
	opClear,
	opCount,
	opDelete,
	opGet,
	opGetExpiry,
	opHas,
	opIncrement,
	opPut,
	opSetExpiry,
} from '../../command/command-format.js';
import type { CommandContext } from './command-context.js';
import { multiCountOk, multiOk, multiSum, multiValues } from './multi-reply.js';
import { shapeBulk, shapeFlag, shapeIntegerText, shapeTtlMs, shapeTtlSeconds } from './reply-window.js';
import { runExpire, runGetSet, runSet, runSetExpiring, runSetNx } from './resp-expiry-commands.js';
import { errorDecrementOverflow, errorNotInteger, errorSyntax } from './resp-format.js';
import { isInt64Min, negateInteger, parseInteger } from './resp-integer.js';
import {
	runClient,
	runCommandCommand,
	runConfig,
	runEcho,
	runHello,
	runInfo,
	runPing,
	runQuit,
	runSelect,
	runShutdown,
} from './resp-server-commands.js';

type Handler = (context: CommandContext) => boolean;

interface CommandRow {
	/** Arguments including the name: exactly, or at least the absolute value when negative. As Redis counts. */
	readonly arity: number;
	readonly run: Handler;
}

const textOne = Buffer.from('1', 'latin1');
const textMinusOne = Buffer.from('-1', 'latin1');
/** A negated delta: sign and 19 digits. */
const negated = Buffer.alloc(24);

function runIncrementBy(context: CommandContext): boolean {
	const offset = context.offsetOf(2);
	const size = context.sizeOf(2);
	if (Number.isNaN(parseInteger(context.bytes, offset, size))) return context.replyError(errorNotInteger);
	return context.submit(shapeIntegerText, opIncrement, 0, 0, 1, context.bytes, offset, size);
}

function runDecrementBy(context: CommandContext): boolean {
	const offset = context.offsetOf(2);
	const size = context.sizeOf(2);
	if (Number.isNaN(parseInteger(context.bytes, offset, size))) return context.replyError(errorNotInteger);
	if (isInt64Min(context.bytes, offset, size)) return context.replyError(errorDecrementOverflow);
	const negatedSize = negateInteger(context.bytes, offset, size, negated);
	return context.submit(shapeIntegerText, opIncrement, 0, 0, 1, negated, 0, negatedSize);
}

function runAppend(context: CommandContext): boolean {
	const offset = context.offsetOf(2);
	return context.submit(shapeIntegerText, opAppend, 0, 0, 1, context.bytes, offset, context.sizeOf(2));
}

function countKeys(opcode: number): Handler {
	return (context) =>
		context.argumentCount === 2 ? context.submitKey(shapeFlag, opcode, 1) : context.submitKeys(multiCountOk, opcode, 1);
}

function runMultiSet(context: CommandContext): boolean {
	if (context.argumentCount % 2 === 0) return replyArity(context, 'mset');
	return context.submitKeys(multiOk, opPut, 2);
}

/** FLUSHALL and FLUSHDB; ASYNC and SYNC are accepted and make no difference. */
function runFlush(context: CommandContext): boolean {
	const word = context.argumentCount > 1 ? context.wordOf(1) : 'SYNC';
	if (context.argumentCount > 2 || (word !== 'SYNC' && word !== 'ASYNC')) return context.replyError(errorSyntax);
	return context.submitAll(multiOk, opClear);
}

function runCommandIntrospection(context: CommandContext): boolean {
	return runCommandCommand(context, table.size);
}

const table: ReadonlyMap<string, CommandRow> = new Map<string, CommandRow>(
	Object.entries({
		GET: { arity: 2, run: (context) => context.submitKey(shapeBulk, opGet, 1) },
		SET: { arity: -3, run: runSet },
		SETNX: { arity: 3, run: runSetNx },
		SETEX: { arity: 4, run: (context) => runSetExpiring(context, 'setex', 1000) },
		PSETEX: { arity: 4, run: (context) => runSetExpiring(context, 'psetex', 1) },
		GETSET: { arity: 3, run: runGetSet },
		APPEND: { arity: 3, run: runAppend },
		DEL: { arity: -2, run: countKeys(opDelete) },
		UNLINK: { arity: -2, run: countKeys(opDelete) },
		EXISTS: { arity: -2, run: countKeys(opHas) },
		MGET: { arity: -2, run: (context) => context.submitKeys(multiValues, opGet, 1) },
		MSET: { arity: -3, run: runMultiSet },
		INCR: {
			arity: 2,
			run: (context) => context.submit(shapeIntegerText, opIncrement, 0, 0, 1, textOne, 0, textOne.length),
		},
		DECR: {
			arity: 2,
			run: (context) => context.submit(shapeIntegerText, opIncrement, 0, 0, 1, textMinusOne, 0, textMinusOne.length),
		},
		INCRBY: { arity: 3, run: runIncrementBy },
		DECRBY: { arity: 3, run: runDecrementBy },
		EXPIRE: { arity: -3, run: (context) => runExpire(context, 'expire', 1000, false) },
		PEXPIRE: { arity: -3, run: (context) => runExpire(context, 'pexpire', 1, false) },
		EXPIREAT: { arity: -3, run: (context) => runExpire(context, 'expireat', 1000, true) },
		PEXPIREAT: { arity: -3, run: (context) => runExpire(context, 'pexpireat', 1, true) },
		TTL: { arity: 2, run: (context) => context.submitKey(shapeTtlSeconds, opGetExpiry, 1) },
		PTTL: { arity: 2, run: (context) => context.submitKey(shapeTtlMs, opGetExpiry, 1) },
		PERSIST: { arity: 2, run: (context) => context.submitKey(shapeFlag, opSetExpiry, 1) },
		DBSIZE: { arity: 1, run: (context) => context.submitAll(multiSum, opCount) },
		FLUSHALL: { arity: -1, run: runFlush },
		FLUSHDB: { arity: -1, run: runFlush },
		PING: { arity: -1, run: runPing },
		ECHO: { arity: 2, run: runEcho },
		HELLO: { arity: -1, run: runHello },
		SELECT: { arity: 2, run: runSelect },
		QUIT: { arity: -1, run: runQuit },
		COMMAND: { arity: -1, run: runCommandIntrospection },
		INFO: { arity: -1, run: runInfo },
		CONFIG: { arity: -2, run: runConfig },
		CLIENT: { arity: -2, run: runClient },
		SHUTDOWN: { arity: -1, run: runShutdown },
	} satisfies Record<string, CommandRow>),
);

/** Bytes of arguments shown for a command we do not have. */
const shownSizeMax = 128;

function replyArity(context: CommandContext, name: string): true {
	return context.replyError(`ERR wrong number of arguments for '${name}' command`);
}

function replyUnknown(context: CommandContext): true {
	const name = context.textOf(0, shownSizeMax);
	const upperName = name.toUpperCase();
	if (upperName === 'POST' || upperName === 'HOST:') {
		// A browser was made to send HTTP to us: its body could hold commands. Redis closes as well.
		context.connection.destroy('HTTP on the RESP port: possible cross-protocol attack');
		context.isStopped = true;
		return true;
	}
	let shown = '';
	for (let index = 1; index < context.argumentCount && shown.length < shownSizeMax; index++)
		shown += `'${context.textOf(index, shownSizeMax - shown.length)}' `;
	return context.replyError(`ERR unknown command '${name}', with args beginning with: ${shown}`);
}

/** Runs the command whose arguments the context has. @returns false when a ring is full and it must be tried again */
export function runCommand(context: CommandContext): boolean {
	const row = table.get(context.wordOf(0));
	if (row === undefined) return replyUnknown(context);
	const count = context.argumentCount;
	const isArityRight = row.arity > 0 ? count === row.arity : count >= -row.arity;
	if (!isArityRight) return replyArity(context, context.wordOf(0).toLowerCase());
	return row.run(context);
}
