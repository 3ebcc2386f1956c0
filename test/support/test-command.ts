/** Commands as tests write them, their bytes, and what comes back: shared by models, harnesses and generators. */
import { writeF64 } from '../../src/base/bytes.js';
import { BatchWriter } from '../../src/command/batch.js';
import { commandSize, encodeCommand } from '../../src/command/command-format.js';

export interface TestCommand {
	readonly opcode: number;
	readonly flags?: number;
	readonly argument?: number;
	readonly key?: string;
	readonly value?: string;
	/** With flagSequence: the version a write wants, the snapshot a read is for. */
	readonly sequence?: number;
	/** Of a batch. */
	readonly commands?: readonly TestCommand[];
}

export interface Answer {
	readonly status: number;
	readonly kind: number;
	readonly number: number;
	/** The payload; '' for the words of an error, which are no contract. */
	readonly text: string;
}

function valueBytes(command: TestCommand): Uint8Array {
	if (command.commands === undefined) return Buffer.from(command.value ?? '', 'latin1');
	const writer = new BatchWriter();
	for (const inner of command.commands) {
		const { opcode, flags = 0, argument = 0, key = '', sequence = 0 } = inner;
		writer.add(opcode, flags, argument, Buffer.from(key, 'latin1'), valueBytes(inner), sequence);
	}
	return writer.value;
}

/** The bytes of a command, with something before and behind that must not matter. */
export function commandBytes(command: TestCommand, offset = 0): Uint8Array {
	const { opcode, flags = 0, argument = 0, key = '', sequence = 0 } = command;
	const keyBytes = Buffer.from(key, 'latin1');
	const value = valueBytes(command);
	const size = commandSize(flags, keyBytes.length, value.length);
	const bytes = new Uint8Array(offset + size + 8).fill(0xee);
	encodeCommand(bytes, offset, opcode, flags, argument, keyBytes, 0, keyBytes.length, value, 0, value.length, sequence);
	return bytes;
}

/** A number as it stands in payloads. */
export function f64Text(value: number): string {
	const bytes = new Uint8Array(8);
	writeF64(bytes, 0, value);
	return Buffer.from(bytes).toString('latin1');
}
