/**
 * Several partitions over one simulated disk, and drivers of batches over them: the real BatchCommitter and settleInDoubt, with
 * every order of what happens beside them up to a seed.
 *
 *   drivers ─ask─> a queue for each partition ─take─> Partition ─log─> LogExecutor ─> the reply leaves ─> drivers go on
 *                                                └─> jobs
 *
 * One action at a time, by chance: carry out what a partition was asked, run its log, run one of its jobs. A model runs along
 * with each partition, by sequence, so that any recovered state can be compared. Requests keep the order of the partition's
 * loop: a decision passes everything; a write that waits for a lock holds up those behind it, and a prepare behind it is told
 * BUSY.
 */
import assert from 'node:assert/strict';
import { codeOf, MillraceError, statusNotFound, statusOk } from '../../src/base/errors.js';
import type { Prng } from '../../src/base/prng.js';
import {
	commandHeaderSize,
	commandKeyOffset,
	commandSize,
	decideOutcomeOffset,
	encodeCommand,
	opBarrier,
	opBatch,
	opDecide,
	opForget,
	opPrepare,
	outcomeCommit,
	readCommandArgument,
	readCommandKeySize,
	readCommandSequence,
	readCommandSize,
	readCommandValueSize,
	wishAlways,
	wishNone,
} from '../../src/command/command-format.js';
import type { TransactionReport } from '../../src/command/transaction.js';
import type { Durability } from '../../src/command/worker-boot.js';
import type { Asker, Command, Reply as EngineReply } from '../../src/engine/asker.js';
import { settleInDoubt } from '../../src/engine/settle-in-doubt.js';
import { keptBatchOffset, transactionIdAt } from '../../src/storage/lsm/apply/transactions.js';
import type { PartitionOptions } from '../../src/storage/lsm/partition-options.js';
import { PartitionHarness, type Reply } from './partition-harness.js';
import { liveEntries, type ModelEntry, type ModelState, PartitionModel } from './partition-model.js';
import type { SimulatedDisk } from './simulated-disk.js';
import { commandBytes, type TestCommand } from './test-command.js';

const none = new Uint8Array(0);

interface Request {
	readonly command: Uint8Array;
	readonly wish: number;
	/** What the model does. */
	readonly test: TestCommand | undefined;
	readonly resolve: (reply: EngineReply) => void;
	readonly reject: (error: Error) => void;
}

/** An answer on its way. */
interface Waiting {
	readonly isDue: () => boolean;
	readonly settle: () => void;
}

export interface WorldOptions {
	readonly prng: Prng;
	readonly partitionCount: number;
	readonly durability?: Durability;
	readonly partition?: Partial<PartitionOptions>;
	readonly nowMs?: number;
}

export class WorldPartition {
	readonly harness: PartitionHarness;
	/** By sequence: what is stored after it; none inside of a batch. */
	readonly states: (ModelState | undefined)[] = [];
	readonly queue: Request[] = [];
	readonly model: PartitionModel;
	/** Of batches that are prepared. */
	readonly #prepared = new Map<string, { commands: TestCommand[]; timeMs: number }>();

	readonly #isModelled: boolean;

	constructor(harness: PartitionHarness, state: ModelState | undefined | 'unknown') {
		this.harness = harness;
		this.#isModelled = state !== 'unknown';
		this.model = state === undefined || state === 'unknown' ? new PartitionModel() : PartitionModel.of(state);
		for (const batch of harness.partition.transactions.prepared()) {
			const commands = commandsOf(batch.command, keptBatchOffset);
			this.#prepared.set(batch.id, { commands, timeMs: batch.timeMs });
		}
		this.noteState();
	}

	noteState(): void {
		this.states[this.harness.partition.lastSequence] = this.model.copy();
	}

	/** What is live, by the model. */
	live(): [string, ModelEntry][] {
		return liveEntries(this.model, this.harness.nowMs);
	}

	/** The model follows what was carried out. @param before sequence before it @param status of its reply */
	follow({ command, test }: Request, before: number, status: number): void {
		if (!this.#isModelled) return;
		const { model, harness } = this;
		const { lastSequence } = harness.partition;
		if (command[0] === opPrepare) {
			const commands = commandsOf(command, commandHeaderSize + 20);
			const id = transactionIdAt(command, commandHeaderSize);
			if (status === statusOk) this.#prepared.set(id, { commands, timeMs: harness.drainMs });
			if (status !== statusOk) assert.equal(lastSequence, before, 'what is not prepared takes no sequence');
		} else if (command[0] === opDecide) {
			const id = transactionIdAt(command, commandHeaderSize);
			const prepared = this.#prepared.get(id);
			assert.equal(status === statusOk, prepared !== undefined, 'what is decided was prepared');
			const isCommit = command[commandHeaderSize + decideOutcomeOffset] === outcomeCommit;
			if (prepared !== undefined && isCommit) this.#commit(prepared.commands, prepared.timeMs, lastSequence);
			this.#prepared.delete(id);
		} else if (test !== undefined) {
			model.sequence = before;
			const answer = model.apply(test, harness.drainMs);
			assert.equal(status, answer.status, `status of ${JSON.stringify(test)}`);
			assert.equal(lastSequence, model.sequence, 'a write takes the sequences that the model says');
		}
		model.sequence = lastSequence;
		this.noteState();
	}

	#commit(commands: TestCommand[], timeMs: number, lastSequence: number): void {
		const { model } = this;
		const probe = PartitionModel.of(model);
		probe.apply({ opcode: opBatch, commands }, timeMs);
		// A prepare may have been logged again before the decision: the batch's sequences are the last ones.
		const count = probe.sequence === model.sequence ? 0 : commands.length;
		model.sequence = lastSequence - count;
		const { status } = model.apply({ opcode: opBatch, commands }, timeMs);
		assert.equal(status, statusOk, `a decision comes to what was prepared: ${JSON.stringify(commands)}`);
	}
}

export class BatchWorld implements Asker {
	readonly disk: SimulatedDisk;
	readonly partitions: WorldPartition[];
	readonly #prng: Prng;
	readonly #durability: Durability;
	#waiting: Waiting[] = [];
	/** Milliseconds that timers of the code under test are moved on by when nothing else can happen. */
	readonly #passTime: () => void;

	/** @param stateOf what a partition that was recovered must hold: without it, nothing; 'unknown': no model runs along */
	constructor(
		disk: SimulatedDisk,
		options: WorldOptions,
		passTime: () => void,
		stateOf: 'unknown' | ((number: number, harness: PartitionHarness) => ModelState | undefined) = () => undefined,
	) {
		this.disk = disk;
		this.#prng = options.prng;
		this.#durability = options.durability ?? 'always';
		this.#passTime = passTime;
		const { partition, nowMs = 1_000_000 } = options;
		this.partitions = Array.from({ length: options.partitionCount }, (_, number) => {
			const directory = `/data/p${number}`;
			const durability = this.#durability;
			const harness = new PartitionHarness(disk, { directory, durability, nowMs, ...(partition && { partition }) });
			return new WorldPartition(harness, stateOf === 'unknown' ? stateOf : stateOf(number, harness));
		});
	}

	// --- Asker --------------------------------------------------------------------------------------

	get partitionCount(): number {
		return this.partitions.length;
	}

	partitionOf(key: Uint8Array): number {
		return (key[key.length - 1] ?? 0) % this.partitions.length;
	}

	ask(partition: number, { opcode, value = none, wish = 0 }: Command): Promise<EngineReply> {
		const command = new Uint8Array(commandSize(0, 0, value.length));
		encodeCommand(command, 0, opcode, 0, 0, none, 0, 0, value, 0, value.length);
		return this.#enqueue(partition, command, wish, undefined);
	}

	askAll(command: Command): Promise<EngineReply[]> {
		return Promise.all(this.partitions.map((_, partition) => this.ask(partition, command)));
	}

	/** A plain write. */
	write(partition: number, test: TestCommand): Promise<EngineReply> {
		return this.#enqueue(partition, commandBytes(test), 0, test);
	}

	#enqueue(partition: number, command: Uint8Array, wish: number, test: TestCommand | undefined): Promise<EngineReply> {
		return new Promise((resolve, reject) => {
			this.partitions[partition].queue.push({ command, wish, test, resolve, reject });
		});
	}

	// --- what happens -------------------------------------------------------------------------------

	/** Lets things happen until this is settled. */
	async run<T>(work: Promise<T>): Promise<T> {
		let isDone = false;
		const done = work.finally(() => {
			isDone = true;
		});
		done.catch(() => undefined);
		await turn();
		while (!isDone) {
			if (!this.step()) this.#passTime();
			await turn();
		}
		return done;
	}

	/** Lets so many things happen. */
	async pass(count: number): Promise<void> {
		for (let i = 0; i < count; i++) {
			this.step();
			await turn();
		}
	}

	/** One thing happens. @returns false when there was nothing to do */
	step(): boolean {
		const actions: (() => void)[] = [];
		for (const partition of this.partitions) {
			const { harness, queue } = partition;
			if (queue.length > 0) actions.push(() => this.#take(partition));
			actions.push(() => {
				harness.endDrain();
				harness.runLog();
				harness.takeNews();
			});
			if (harness.jobs.length > 0) actions.push(() => void harness.runJob(this.#prng));
		}
		const before = this.disk.position;
		const waitingCount = this.#waiting.length;
		const queuedCount = this.partitions.reduce((sum, { queue }) => sum + queue.length, 0);
		actions[this.#prng.below(actions.length)]();
		const due = this.#waiting.filter(({ isDue }) => isDue());
		this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
		for (const { settle } of due) settle();
		const queued = this.partitions.reduce((sum, { queue }) => sum + queue.length, 0);
		return this.disk.position !== before || this.#waiting.length !== waitingCount || queued !== queuedCount;
	}

	/** Takes what a partition was asked: all, or a few. */
	#take(partition: WorldPartition): void {
		const { queue, harness } = partition;
		let left = 1 + this.#prng.below(4);
		let isBlocked = false;
		for (let i = 0; i < queue.length && left > 0; ) {
			const request = queue[i];
			const opcode = request.command[0];
			const hasUndecided = harness.partition.transactions.count > 0;
			if (isBlocked && opcode === opPrepare && hasUndecided) {
				request.reject(new MillraceError('MILLRACE_BUSY', 'behind what waits'));
			} else if ((isBlocked && opcode !== opDecide) || !this.#maybeDo(partition, request)) {
				isBlocked = true;
				i++;
				continue;
			}
			queue.splice(i, 1);
			left--;
		}
	}

	#maybeDo(partition: WorldPartition, request: Request): boolean {
		const { harness } = partition;
		const [opcode] = request.command;
		const before = harness.partition.lastSequence;
		if (opcode === opForget) {
			harness.partition.transactions.forgetAll(request.command.subarray(commandHeaderSize));
			request.resolve({ status: statusOk, number: 0, value: undefined });
		} else if (opcode === opBarrier) {
			this.#answer(partition, request, () => harness.reachedSequence >= before, statusOk, 0);
		} else {
			const reply = harness.maybeExecute(request.command, 0);
			if (reply === undefined) return false;
			partition.follow(request, before, reply.status);
			this.#answer(partition, request, () => reply.hasLeft, reply.status, reply.number);
		}
		return true;
	}

	#answer(
		{ harness }: WorldPartition,
		{ wish, resolve, reject }: Request,
		isDue: () => boolean,
		status: Reply['status'],
		number: number,
	): void {
		const settle = (): void => {
			if (status > statusNotFound) reject(new MillraceError(codeOf(status), 'refused'));
			else resolve({ status, number, value: undefined });
		};
		if (wish === wishNone) settle();
		else if (wish === wishAlways && this.#durability !== 'always') {
			harness.endDrain();
			harness.runLog();
			harness.executor.sync();
			settle();
		} else this.#waiting.push({ isDue, settle });
	}

	// --- ends and beginnings ------------------------------------------------------------------------

	get reports(): TransactionReport[] {
		return this.partitions.map(({ harness }) => harness.partition.transactions.report());
	}

	/** What an opening does. */
	async settle(): Promise<void> {
		await this.run(settleInDoubt(this, this.reports, () => true));
	}

	/** What is stored, by partition. */
	scans(): [string, ModelEntry][][] {
		return this.partitions.map(({ harness }) => harness.scan());
	}

	abandon(): void {
		for (const { harness } of this.partitions) harness.abandon();
	}
}

/** Lets promises go on. */
function turn(): Promise<void> {
	return new Promise((resolve) => {
		setImmediate(resolve);
	});
}

/** The commands of a batch. @param start where it begins */
export function commandsOf(bytes: Uint8Array, start: number): TestCommand[] {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const text = (at: number, size: number): string => Buffer.from(bytes.subarray(at, at + size)).toString('latin1');
	const commands: TestCommand[] = [];
	let at = start + 4;
	for (let left = view.getUint32(start, true); left > 0; left--) {
		const flags = bytes[at + 1];
		const key = at + commandKeyOffset(flags);
		const keySize = readCommandKeySize(bytes, at);
		commands.push({
			opcode: bytes[at],
			flags,
			argument: readCommandArgument(bytes, at),
			sequence: readCommandSequence(bytes, at),
			key: text(key, keySize),
			value: text(key + keySize, readCommandValueSize(bytes, at)),
		});
		at += readCommandSize(bytes, at);
	}
	return commands;
}
