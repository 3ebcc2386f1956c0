/**
 * What a database stands on in a thread that attached to it: rings of its own to every partition, and a control port to the
 * thread that opened it. The partitions answer it without that thread; only attaching, detaching and background jobs need it.
 *
 *   start: hello ─> welcome ─> dispatcher over the channels ─> …calls… ─> close: bye ─> left ─> all ports closed
 *                                                             `─> 'closing' or the control port closed: `death`, nothing answered
 *
 * An attached thread is kept running by what it waits for, and not by being attached: the control port is referenced while calls
 * are in flight, and else not. Who ends without `close` is cleaned up after by the opener.
 */
import type { MessagePort } from 'node:worker_threads';
import { MillraceError } from '../base/errors.js';
import type { CommandPort } from '../command/command-port.js';
import { GateSlot } from '../command/database-memory.js';
import type { MakeSyncReader, SyncReader } from '../command/sync-reader.js';
import type { Durability } from '../command/worker-boot.js';
import type { FileSystem } from '../env/ports.js';
import { ThreadBell } from '../ring/bell.js';
import { RingConsumer } from '../ring/ring-consumer.js';
import { RingProducer } from '../ring/ring-producer.js';
import { Router } from '../routing/router.js';
import {
	type AttachedBoot,
	type AttachedPartition,
	type Attachment,
	errorOf,
	eventOf,
	type MessageToOpener,
	type MessageToThread,
} from './attach-messages.js';
import { type Channel, Dispatcher } from './dispatcher.js';
import type { DatabaseEvent, Session } from './session.js';
import { SyncReaders } from './sync-readers.js';

export interface AttachedOptions {
	readonly fileSystem: FileSystem;
	readonly makeSyncReader?: MakeSyncReader | undefined;
}

/** Who hears the control port. */
interface Inbox {
	onMessage: (message: MessageToThread) => void;
	onClose: () => void;
}

/** False when nobody listens, or it is closed. The types do not know of it. */
type ReferencedPort = MessagePort & { hasRef(): boolean };

/** An attachment's port takes one hello: a second one would hear what was meant for the first. */
const usedPorts = new WeakSet<MessagePort>();

export class AttachedSession implements Session {
	readonly partitionCount: number;
	readonly durability: Durability;
	readonly inFlightSizeMax: number;
	readonly fileSystem: FileSystem;
	readonly gate: GateSlot;
	onEvent: (event: DatabaseEvent) => void = () => undefined;
	readonly #control: MessagePort;
	readonly #dispatcher: Dispatcher;
	readonly #syncReaders: SyncReaders;
	readonly #ports: readonly MessagePort[];
	#death: MillraceError | undefined;
	#closing: Promise<void> | undefined;
	/** The opener has nothing more to say. */
	#onLeft: (() => void) | undefined;
	#isOver = false;

	private constructor(control: MessagePort, inbox: Inbox, boot: AttachedBoot, options: AttachedOptions) {
		const { partitions, askerBell, databaseMemory, slot, blockCacheSize } = boot;
		this.#control = control;
		this.partitionCount = partitions.length;
		this.durability = boot.durability;
		this.inFlightSizeMax = boot.inFlightSizeMax;
		this.fileSystem = options.fileSystem;
		this.gate = new GateSlot(databaseMemory, slot);
		this.#ports = partitions.flatMap((partition) => [
			...partition.bellPorts,
			partition.requestOversizePort,
			partition.replyOversizePort,
			partition.commitOversizePort,
		]);
		this.#dispatcher = new Dispatcher(new Router(partitions.length), askerBell);
		this.#dispatcher.connect(partitions.map(channelOf));
		this.#dispatcher.onSleep = (isWaiting) => this.#keepAlive(isWaiting);
		for (const port of partitions.flatMap(({ bellPorts }) => bellPorts)) {
			port.on('message', this.#dispatcher.onBell);
			port.unref();
		}
		this.#syncReaders = new SyncReaders(options.makeSyncReader, (partition) => {
			const { directory, shared, view, arenas } = partitions[partition];
			return { partition, directory, shared, view, arenas, blockCacheSize };
		});
		inbox.onMessage = (message) => this.#onMessage(message);
		inbox.onClose = () => this.#onControlClosed();
		control.unref();
	}

	/**
	 * @throws TypeError when it is no attachment, or was used before
	 * @throws MILLRACE_CLOSED, MILLRACE_WORKER_DIED; MILLRACE_BUSY when as many threads are attached as may be
	 */
	static async start(attachment: Attachment, options: AttachedOptions): Promise<AttachedSession> {
		const control = mustPort(attachment);
		if (usedPorts.has(control)) {
			throw new TypeError('an attachment is for one attach(): make another with db.attachment()');
		}
		usedPorts.add(control);
		return new Promise((resolve, reject) => {
			const inbox: Inbox = {
				onMessage: (message) => {
					// At once: the next message is for the session.
					if (message.type === 'welcome') return resolve(new AttachedSession(control, inbox, message.boot, options));
					control.close();
					reject(
						message.type === 'refused' ? errorOf(message.error, 'MILLRACE_CLOSED') : openerGone('MILLRACE_CLOSED'),
					);
				},
				onClose: () => reject(openerGone('MILLRACE_CLOSED')),
			};
			control.on('message', (message: MessageToThread) => inbox.onMessage(message));
			control.on('close', () => inbox.onClose());
			// Of one that is closed already nothing will be heard, not even that.
			if (!(control as ReferencedPort).hasRef()) inbox.onClose();
			post(control, { type: 'hello' });
		});
	}

	get port(): CommandPort {
		return this.#dispatcher;
	}

	get death(): MillraceError | undefined {
		return this.#death;
	}

	syncReader(partition: number): SyncReader {
		return this.#syncReaders.of(partition);
	}

	makeAttachment(): never {
		throw new TypeError('attachments are made by the thread that opened the database');
	}

	/** Lets go of the rings, when the opener has taken them back, or is gone. Idempotent. */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		if (this.#isOver) return;
		this.#stop();
		const left = new Promise<void>((resolve) => {
			this.#onLeft = resolve;
		});
		this.#control.ref();
		post(this.#control, { type: 'bye' });
		await left;
	}

	#onMessage(message: MessageToThread): void {
		if (message.type === 'left') this.#end();
		else if (message.type === 'event') this.#onPartitionEvent(eventOf(message.event));
	}

	#onPartitionEvent(event: DatabaseEvent): void {
		if (event.type === 'died') this.#die(event.error);
		if (event.type === 'closing') {
			this.#die(new MillraceError('MILLRACE_CLOSED', 'the database was closed by the thread that opened it'));
		}
		this.onEvent(event);
	}

	/** Nothing will be answered any more. The control port brings the rest. */
	#die(error: MillraceError): void {
		this.#death ??= error;
		this.#stop();
	}

	#onControlClosed(): void {
		const wasDead = this.#death !== undefined || this.#closing !== undefined;
		this.#death ??= openerGone('MILLRACE_WORKER_DIED');
		this.#end();
		if (!wasDead) this.onEvent({ type: 'died', error: this.#death });
	}

	#stop(): void {
		this.#dispatcher.stop();
		this.#syncReaders.close();
	}

	#end(): void {
		if (this.#isOver) return;
		this.#isOver = true;
		this.#stop();
		for (const port of this.#ports) port.close();
		this.#control.close();
		this.#onLeft?.();
	}

	#keepAlive(isWaiting: boolean): void {
		if (this.#isOver || this.#closing !== undefined) return;
		if (isWaiting) this.#control.ref();
		else this.#control.unref();
	}
}

/** Programs pass these through untyped messages. */
function mustPort(attachment: unknown): MessagePort {
	const { kind, port } = (attachment ?? {}) as Partial<Attachment>;
	if (kind !== 'millrace-attachment' || typeof port?.postMessage !== 'function') {
		throw new TypeError('attach takes what db.attachment() gave, transferred with its transferList');
	}
	return port;
}

function channelOf(partition: AttachedPartition): Channel {
	const { memory, workerBell, requestOversizePort, replyOversizePort, commitOversizePort } = partition;
	const bell = new ThreadBell(workerBell);
	return {
		channel: memory.channel,
		requests: new RingProducer(memory.requestRing, bell, requestOversizePort),
		replies: new RingConsumer(memory.replyRing, bell, replyOversizePort),
		heldReplies: new RingConsumer(memory.commitRing, bell, commitOversizePort),
	};
}

function openerGone(code: 'MILLRACE_CLOSED' | 'MILLRACE_WORKER_DIED'): MillraceError {
	return new MillraceError(code, 'the database is closed, or the thread that opened it has ended');
}

function post(port: MessagePort, message: MessageToOpener): void {
	port.postMessage(message);
}
