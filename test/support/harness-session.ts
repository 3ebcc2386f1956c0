/**
 * A database of one partition in the test's own thread, on a simulated disk: the real database object and the real loop over real
 * rings, without a second thread.
 *
 *   Database ─> submit ─> request ring ─┐ each turn of the event loop, as long as anything is unanswered:
 *            <─ dispatcher <── rings <──┴─ rig.settle(): the loop, the log, the jobs
 *
 * The partition's clock is the system's.
 */
import { MillraceError } from '../../src/base/errors.js';
import { inFlightSizeMaxDefault } from '../../src/base/limits.js';
import { createDatabaseMemory, GateSlot } from '../../src/command/database-memory.js';
import type { SyncReader } from '../../src/command/sync-reader.js';
import { Dispatcher } from '../../src/engine/dispatcher.js';
import type { DatabaseEvent, Session } from '../../src/engine/session.js';
import { PortBellOwner } from '../../src/ring/bell.js';
import { Router } from '../../src/routing/router.js';
import { LoopRig } from '../unit/workers/loop-rig.js';
import type { SimulatedDisk } from './simulated-disk.js';

/** Room for the largest values; the rig's own sizes are for hundreds of bytes. */
const sizes = { memtableSize: 20 << 20, segmentSize: 24 << 20, blockCacheSize: 1 << 20 };

/** Does the partition's work whenever something is asked. */
class WorkingDispatcher extends Dispatcher {
	/** The partition's work. */
	work: () => void = () => undefined;
	#isScheduled = false;

	override submit(...given: Parameters<Dispatcher['submit']>): boolean {
		const isTaken = super.submit(...given);
		this.#schedule();
		return isTaken;
	}

	#schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		setImmediate(() => {
			this.#isScheduled = false;
			this.work();
			this.onBell();
			if (this.inFlight > 0) this.#schedule();
		});
	}
}

export class HarnessSession implements Session {
	readonly port: WorkingDispatcher;
	readonly partitionCount = 1;
	readonly durability = 'always';
	readonly inFlightSizeMax = inFlightSizeMaxDefault;
	readonly fileSystem: SimulatedDisk;
	readonly gate: GateSlot;
	readonly death = undefined;
	onEvent: (event: DatabaseEvent) => void = () => undefined;
	readonly #rig: LoopRig;

	constructor() {
		const databaseMemory = createDatabaseMemory();
		this.#rig = new LoopRig(sizes, { databaseMemory });
		this.fileSystem = this.#rig.disk;
		this.gate = new GateSlot(databaseMemory, 0);
		this.port = new WorkingDispatcher(new Router(1), PortBellOwner.create());
		this.port.connect([this.#rig.opener]);
		this.port.work = () => {
			this.#rig.nowMs = Date.now();
			this.#rig.settle();
		};
	}

	syncReader(): SyncReader {
		throw new MillraceError('MILLRACE_INTERNAL', 'nothing is shared with other threads here');
	}

	makeAttachment(): never {
		throw new TypeError('no thread attaches to the test’s own');
	}

	async close(): Promise<void> {
		this.#rig.settle();
		this.#rig.host.partition.close();
	}
}
