/**
 * Commands answered without a partition: greetings, connection state, server information. Their replies take their
 * place in the order like all others.
 */
import type { CommandContext } from './command-context.js';
import { matchesGlob } from './glob.js';
import {
	errorDatabaseIndex,
	errorNoProtocol,
	errorNotInteger,
	errorSyntax,
	replyEmptyArray,
	replyNil,
	replyOk,
	replyPong,
} from './resp-format.js';
import { parseInteger } from './resp-integer.js';

function integerOf(context: CommandContext, index: number): number {
	return parseInteger(context.bytes, context.offsetOf(index), context.sizeOf(index));
}

function bulkText(text: string): string {
	return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** `parent|child`: how Redis names a subcommand in an arity error. */
function replySubcommandArity(context: CommandContext, parent: string): true {
	const name = `${parent}|${context.textOf(1, 64).toLowerCase()}`;
	return context.replyError(`ERR wrong number of arguments for '${name}' command`);
}

function replyUnknownSubcommand(context: CommandContext, parent: string): true {
	return context.replyError(`ERR unknown subcommand '${context.textOf(1, 64)}'. Try ${parent} HELP.`);
}

/** Takes the name in argument `index`. @returns false when it is not one, which was answered */
function setClientName(context: CommandContext, index: number): boolean {
	const name = context.textOf(index);
	if (!/^[!-~]*$/.test(name)) {
		context.replyError('ERR Client names cannot contain spaces, newlines or special characters.');
		return false;
	}
	context.clientName = name;
	return true;
}

/** PING [message] */
export function runPing(context: CommandContext): boolean {
	if (context.argumentCount === 1) return context.replyRaw(replyPong);
	if (context.argumentCount === 2) return runEcho(context);
	return context.replyError("ERR wrong number of arguments for 'ping' command");
}

/** ECHO message */
export function runEcho(context: CommandContext): boolean {
	return context.replyBulk(context.bytes, context.offsetOf(1), context.sizeOf(1));
}

/** HELLO [2 [SETNAME name]]: a flat array of names and values, as RESP2 has no maps. */
export function runHello(context: CommandContext): boolean {
	if (context.argumentCount > 1) {
		const version = integerOf(context, 1);
		if (Number.isNaN(version)) return context.replyError('ERR Protocol version is not an integer or out of range');
		if (version !== 2) return context.replyError(errorNoProtocol);
	}
	for (let index = 2; index < context.argumentCount; index += 2) {
		if (context.wordOf(index) !== 'SETNAME' || index + 1 === context.argumentCount)
			return context.replyError(`ERR Syntax error in HELLO option '${context.textOf(index, 64)}'`);
		if (!setClientName(context, index + 1)) return true;
	}
	const text = [
		'*14\r\n',
		bulkText('server') + bulkText('millrace'),
		bulkText('version') + bulkText(context.host.version),
		`${bulkText('proto')}:2\r\n`,
		`${bulkText('id')}:${context.connection.id}\r\n`,
		bulkText('mode') + bulkText('standalone'),
		bulkText('role') + bulkText('master'),
		`${bulkText('modules')}*0\r\n`,
	];
	return context.replyRaw(Buffer.from(text.join(''), 'utf8'));
}

/** SELECT index: there is one database. */
export function runSelect(context: CommandContext): boolean {
	const index = integerOf(context, 1);
	if (Number.isNaN(index)) return context.replyError(errorNotInteger);
	return index === 0 ? context.replyRaw(replyOk) : context.replyError(errorDatabaseIndex);
}

/** QUIT: the last reply, then the end. */
export function runQuit(context: CommandContext): boolean {
	context.isStopped = true;
	return context.replyRaw(replyOk);
}

/** COMMAND [COUNT | DOCS ... | INFO ...]: clients ask for it, and can live without what it would say. */
export function runCommandCommand(context: CommandContext, commandCount: number): boolean {
	const word = context.argumentCount > 1 ? context.wordOf(1) : 'DOCS';
	if (word === 'COUNT') return context.replyInteger(commandCount);
	if (word === 'DOCS' || word === 'INFO' || word === 'LIST') return context.replyRaw(replyEmptyArray);
	return replyUnknownSubcommand(context, 'COMMAND');
}

/** INFO [section ...] */
export function runInfo(context: CommandContext): boolean {
	if (context.argumentCount === 1) return context.replyText(context.host.info(''));
	let text = '';
	for (let index = 1; index < context.argumentCount; index++)
		text += context.host.info(context.textOf(index, 64).toLowerCase());
	return context.replyText(text);
}

/** CONFIG GET pattern ... | SET ... | RESETSTAT */
export function runConfig(context: CommandContext): boolean {
	const word = context.wordOf(1);
	if (word === 'SET')
		return context.replyError('ERR CONFIG SET is not supported: options are given when the server starts');
	if (word !== 'GET') return replyUnknownSubcommand(context, 'CONFIG');
	if (context.argumentCount < 3) return replySubcommandArity(context, 'config');
	const patterns: string[] = [];
	for (let index = 2; index < context.argumentCount && index < 34; index++)
		patterns.push(context.textOf(index, 64).toLowerCase());
	let text = '';
	let count = 0;
	for (const [name, value] of context.host.config) {
		if (!patterns.some((pattern) => matchesGlob(pattern, name))) continue;
		text += bulkText(name) + bulkText(value);
		count += 2;
	}
	return context.replyRaw(Buffer.from(`*${count}\r\n${text}`, 'utf8'));
}

/** CLIENT SETNAME name | GETNAME | ID | SETINFO attribute value */
export function runClient(context: CommandContext): boolean {
	const word = context.wordOf(1);
	const count = context.argumentCount;
	if (word === 'SETNAME') {
		if (count !== 3) return replySubcommandArity(context, 'client');
		return setClientName(context, 2) ? context.replyRaw(replyOk) : true;
	}
	if (word === 'SETINFO') return count === 4 ? context.replyRaw(replyOk) : replySubcommandArity(context, 'client');
	if (word !== 'GETNAME' && word !== 'ID') return replyUnknownSubcommand(context, 'CLIENT');
	if (count !== 2) return replySubcommandArity(context, 'client');
	if (word === 'ID') return context.replyInteger(context.connection.id);
	return context.clientName === '' ? context.replyRaw(replyNil) : context.replyText(context.clientName);
}

/** SHUTDOWN [NOSAVE | SAVE]: all acknowledged data is safe either way. No reply: the connection ends. */
export function runShutdown(context: CommandContext): boolean {
	const word = context.argumentCount > 1 ? context.wordOf(1) : 'SAVE';
	if (context.argumentCount > 2 || (word !== 'SAVE' && word !== 'NOSAVE')) return context.replyError(errorSyntax);
	context.isStopped = true;
	context.host.requestShutdown();
	return true;
}
