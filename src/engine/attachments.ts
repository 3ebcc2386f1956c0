/**
 * The opener's side of attached threads: who is attached, what each was given, and how it is taken back.
 *
 *   make ─> waits for a hello ─> slot, channels ─> attached ─┬─ bye ──────────────────┐
 *              │                                             ├─ its port closed: dead ┤
 *              └─ port closed: forgotten                     └─ close() ──────────────┴─> take back
 *
 *   take back: all partitions forget the channel ─> its batches are settled ─> its slot is cleared ─> its rings are kept
 *
 * An attached thread may end at any moment, in the middle of anything. What it had begun is then settled here: only this thread
 * clears gate slots, and a slot is given away again only when nothing of its former holder is left in any partition.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { assert } from '../base/assert.js';
import { MillraceError } from '../base/errors.js';
import { attachedThreadCountMax, attachmentCountMax } from '../base/limits.js';
import { channelMask } from '../command/command-format.js';
import { GateSlot } from '../command/database-memory.js';
import type { Durability } from '../command/worker-boot.js';
import {
	type AttachedBoot,
	type AttachedPartition,
	type Attachment,
	type MessageToOpener,
	type MessageToThread,
	plainErrorOf,
	plainEventOf,
} from './attach-messages.js';
import { ChannelMaker, type MadeChannel } from './channel-maker.js';
import type { PartitionLink } from './partition-link.js';
import type { DatabaseEvent } from './session.js';

export interface AttachmentsOptions {
	readonly links: readonly PartitionLink[];
	readonly databaseMemory: SharedArrayBuffer;
	readonly durability: Durability;
	/** Bytes of requests an attached thread may have under way. */
	readonly inFlightSizeMax: number;
	/** Bytes of blocks an attached thread may keep of each partition. */
	readonly blockCacheSize: number;
	/** Settles what a thread that is gone left undecided; its channels are forgotten. */
	readonly settleBatchesOf: (slot: number) => Promise<void>;
}

/** What an attached thread holds. */
interface AttachedThread {
	readonly slot: number;
	readonly channel: number;
	readonly channels: readonly MadeChannel[];
	/** Settles when nothing of it is left; undefined while it is attached. */
	leaving: Promise<void> | undefined;
}

export class Attachments {
	readonly #options: AttachmentsOptions;
	readonly #maker = new ChannelMaker();
	/** By slot; slot 0 is the opener's. */
	readonly #threads: (AttachedThread | undefined)[] = new Array<AttachedThread | undefined>(
		attachedThreadCountMax + 1,
	).fill(undefined);
	/** Our ends of all attachments whose other ends are not closed, and who attached by them. */
	readonly #ports = new Map<MessagePort, AttachedThread | undefined>();
	#nextChannel = 1;
	/** Why nobody may attach any more, if so. */
	#end: MillraceError | undefined;

	constructor(options: AttachmentsOptions) {
		this.#options = options;
	}

	/** Threads attached, those included that are being cleaned up after; and what there is for all. For tests. */
	statistics(): { threadCount: number; portCount: number; channelCount: number } {
		const threadCount = this.#threads.filter((thread) => thread !== undefined).length;
		return { threadCount, portCount: this.#ports.size, channelCount: this.#maker.madeCount };
	}

	/** @throws the error of `end` */
	make(): Attachment {
		if (this.#end !== undefined) throw this.#end;
		if (this.#ports.size >= attachmentCountMax) {
			const text = `${attachmentCountMax} attachments are not used yet: give each to a thread that attaches`;
			throw new MillraceError('MILLRACE_BUSY', text);
		}
		const { port1, port2 } = new MessageChannel();
		this.#ports.set(port1, undefined);
		port1.on('message', (message: MessageToOpener) => {
			if (message.type === 'hello') void this.#admit(port1);
			else void this.#dismiss(port1);
		});
		port1.on('close', () => {
			void this.#dismiss(port1);
			this.#ports.delete(port1);
		});
		// Whether the process goes on is up to the database.
		port1.unref();
		return { kind: 'millrace-attachment', port: port2, transferList: [port2] };
	}

	/** Tells all attached threads. */
	broadcast(event: DatabaseEvent): void {
		for (const [port, thread] of this.#ports) {
			if (thread !== undefined) post(port, { type: 'event', event: plainEventOf(event) });
		}
	}

	/** Nobody attaches any more. @param error what calls get that come too late */
	refuse(error: MillraceError): void {
		if (this.#end !== undefined) return;
		this.#end = error;
		for (const [port, thread] of this.#ports) {
			if (thread !== undefined) continue;
			// It stays open: whoever says hello later finds the answer there. It may do so for ever, and keeps nothing else in memory.
			post(port, { type: 'refused', error: plainErrorOf(error) });
			port.removeAllListeners();
			port.on('message', ignore);
			port.unref();
			this.#ports.delete(port);
		}
	}

	/**
	 * Attached threads are told, and their channels taken back. Does not wait for those threads.
	 * @param canAnswer false: partitions may not answer any more, and nothing is waited for
	 */
	async close(canAnswer: boolean): Promise<void> {
		this.refuse(new MillraceError('MILLRACE_CLOSED', 'the database is closed'));
		this.broadcast({ type: 'closing' });
		if (canAnswer) {
			for (const [port, thread] of this.#ports) if (thread !== undefined) void this.#dismiss(port);
			await Promise.all(this.#threads.map((thread) => thread?.leaving ?? Promise.resolve()));
		}
		for (const [port, thread] of this.#ports) if (thread !== undefined) port.close();
	}

	/** Gives whoever said hello all it needs, or says why not. */
	async #admit(port: MessagePort): Promise<void> {
		let slot = this.#threads.indexOf(undefined, 1);
		while (slot < 0 && this.#isWaiting(port)) {
			const leaving = this.#threads.map((thread) => thread?.leaving).filter((promise) => promise !== undefined);
			if (leaving.length === 0) break;
			await Promise.race(leaving);
			slot = this.#threads.indexOf(undefined, 1);
		}
		if (!this.#isWaiting(port)) return;
		if (slot > 0 && this.#nextChannel <= channelMask) {
			this.#welcome(port, slot);
			return;
		}
		const message =
			slot < 0
				? `${attachedThreadCountMax} threads are attached already: detach one of them`
				: `threads were attached ${channelMask} times, which is all the numbers there are: open the database again`;
		post(port, { type: 'refused', error: { code: 'MILLRACE_BUSY', message } });
	}

	/** Nobody is attached by this port, and nothing was answered. */
	#isWaiting(port: MessagePort): boolean {
		return this.#end === undefined && this.#ports.has(port) && this.#ports.get(port) === undefined;
	}

	#welcome(port: MessagePort, slot: number): void {
		const { links, databaseMemory, durability, inFlightSizeMax, blockCacheSize } = this.#options;
		const channel = this.#nextChannel++;
		const askerBell = this.#maker.makeBell();
		const channels = links.map(() => this.#maker.make(channel, askerBell));
		const thread: AttachedThread = { slot, channel, channels, leaving: undefined };
		this.#threads[slot] = thread;
		this.#ports.set(port, thread);
		const partitions = links.map((link, partition) => attachedPartition(link, channels[partition]));
		const boot: AttachedBoot = {
			slot,
			durability,
			databaseMemory,
			inFlightSizeMax,
			askerBell,
			blockCacheSize,
			partitions,
		};
		for (const [partition, { memory, partitionPorts, logBellPort }] of channels.entries()) {
			links[partition].attach(memory, partitionPorts, logBellPort);
		}
		const portsToThread = channels.flatMap(({ askerPorts: { bellPorts, ...others } }) => [
			...bellPorts,
			...Object.values(others),
		]);
		post(port, { type: 'welcome', boot }, portsToThread);
	}

	/** The thread has said goodbye, or is gone. Idempotent. */
	async #dismiss(port: MessagePort): Promise<void> {
		const thread = this.#ports.get(port);
		if (thread === undefined) return;
		thread.leaving ??= this.#takeBack(thread);
		await thread.leaving;
		post(port, { type: 'left' });
	}

	async #takeBack(thread: AttachedThread): Promise<void> {
		const { links, databaseMemory, settleBatchesOf } = this.#options;
		await Promise.all(links.map((link) => link.detach(thread.channel)));
		await settleBatchesOf(thread.slot);
		new GateSlot(databaseMemory, thread.slot).clear();
		for (const { memory } of thread.channels) this.#maker.takeBack(memory);
		assert(this.#threads[thread.slot] === thread, 'a slot is held by one thread');
		this.#threads[thread.slot] = undefined;
	}
}

function attachedPartition(link: PartitionLink, { memory, askerPorts }: MadeChannel): AttachedPartition {
	return { directory: link.directory, memory, ...link.askerMemory, ...link.storageMemory, ...askerPorts };
}

function ignore(): void {
	// A hello, which has its answer.
}

function post(port: MessagePort, message: MessageToThread, transferList: MessagePort[] = []): void {
	port.postMessage(message, transferList);
}
