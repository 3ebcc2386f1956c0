/** What a database tells of itself, to whoever listens: `db.on('diskFull', …)`. Nobody has to: no event is Node's 'error'. */
import { EventEmitter } from 'node:events';
import type { PressureEvent } from './pressure.js';
import type { DatabaseEvent } from './session.js';

export type StoreEvent = DatabaseEvent | PressureEvent;
export type StoreEventType = StoreEvent['type'];
export type EventListener<T extends StoreEventType> = (event: Extract<StoreEvent, { readonly type: T }>) => void;

const types: Readonly<Record<StoreEventType, true>> = {
	poisoned: true,
	diskFull: true,
	note: true,
	died: true,
	closing: true,
	pressure: true,
};

export class StoreEvents {
	readonly #emitter = new EventEmitter();

	/** @throws TypeError for a type there is not */
	on<T extends StoreEventType>(type: T, listener: EventListener<T>): void {
		this.#emitter.on(mustType(type), listener);
	}

	once<T extends StoreEventType>(type: T, listener: EventListener<T>): void {
		this.#emitter.once(mustType(type), listener);
	}

	off<T extends StoreEventType>(type: T, listener: EventListener<T>): void {
		this.#emitter.off(mustType(type), listener);
	}

	/**
	 * Listeners hear of it in the next tick: what they do, calls and writes of this database included, must not happen in the
	 * middle of what is told of. What they throw is the program's uncaught error, and nobody else's trouble.
	 */
	emit(event: StoreEvent): void {
		if (this.#emitter.listenerCount(event.type) === 0) return;
		process.nextTick(() => this.#emitter.emit(event.type, event));
	}
}

function mustType(type: StoreEventType): StoreEventType {
	if (Object.hasOwn(types, type)) return type;
	throw new TypeError(`there is no event '${String(type)}'; there are ${Object.keys(types).join(', ')}`);
}
