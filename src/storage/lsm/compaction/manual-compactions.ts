/**
 * Compactions that somebody asked for: a range of keys, level by level down to the last, one request after the other. A level is
 * done when the tables that were in it when its turn came are gone from the range; so writes that go on do not keep it from
 * ending.
 * Partition's thread only.
 */
import type { MillraceError } from '../../../base/errors.js';
import type { Compaction } from './compaction.js';
import { type ManualRequest, type PickerOptions, type PickerState, pickManual } from './compaction-picker.js';
import { lastLevel } from './level-targets.js';

/** What a request came to. */
export interface ManualResult {
	/** Compactions and moves it took. */
	readonly stepCount: number;
}

export type OnManualDone = (result: ManualResult | undefined, failure: MillraceError | undefined) => void;

interface Asked {
	request: ManualRequest;
	stepCount: number;
	readonly onDone: OnManualDone;
}

export class ManualCompactions {
	/** First file id not taken yet. */
	readonly #nextFileId: () => number;
	readonly #asked: Asked[] = [];

	constructor(nextFileId: () => number) {
		this.#nextFileId = nextFileId;
	}

	get count(): number {
		return this.#asked.length;
	}

	/** @param lower empty: from the beginning. @param upper the last key; undefined: to the end */
	ask(lower: Uint8Array, upper: Uint8Array | undefined, onDone: OnManualDone): void {
		this.#asked.push({ request: { lower, upper, level: 0, idLimit: this.#nextFileId() }, stepCount: 0, onDone });
	}

	/** The next step of the oldest request; undefined: there is none, or it has to wait for what is running. */
	pick(state: PickerState, options: PickerOptions): Compaction | undefined {
		while (this.#asked.length > 0) {
			const [first] = this.#asked;
			const picked = pickManual(state, options, first.request);
			if (picked === 'blocked') return undefined;
			if (picked !== 'done') return picked;
			const level = first.request.level + 1;
			if (level > lastLevel) {
				this.#asked.shift();
				first.onDone({ stepCount: first.stepCount }, undefined);
			} else {
				first.request = { ...first.request, level, idLimit: this.#nextFileId() };
			}
		}
		return undefined;
	}

	/** What was picked last is begun. */
	onBegun(): void {
		this.#asked[0].stepCount++;
	}

	/** Nothing will be compacted any more. */
	fail(error: MillraceError): void {
		for (const { onDone } of this.#asked.splice(0)) onDone(undefined, error);
	}
}
