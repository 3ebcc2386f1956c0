/**
 * Says how far a long command is: a bar when standard error is a terminal and the end is known, else a line now and
 * then.
 */
import { SingleBar } from 'cli-progress';
import type { CommandIo } from './command-io.js';

/** Records between two lines when there is no bar. */
const lineEveryCount = 100_000;
/** Records between two updates of the bar: it redraws by time, but a call for each record costs. */
const updateEveryCount = 256;

export class Progress {
	readonly #io: CommandIo;
	readonly #verb: string;
	readonly #bar: SingleBar | undefined;
	#count = 0;

	/** @param total in the unit of `advance`'s position; 0 when unknown */
	constructor(io: CommandIo, verb: string, total: number) {
		this.#io = io;
		this.#verb = verb;
		if (io.stderr.isTTY !== true || total === 0) return;
		this.#bar = new SingleBar({
			format: `${verb} [{bar}] {percentage}% | {records} records | {eta_formatted} left`,
			stream: io.stderr as NodeJS.WriteStream,
			hideCursor: true,
			clearOnComplete: true,
		});
		this.#bar.start(total, 0, { records: 0 });
	}

	/** One more record; `position` is how much of the total is done. */
	advance(position: number): void {
		this.#count++;
		if (this.#bar !== undefined) {
			if (this.#count % updateEveryCount === 0) this.#bar.update(position, { records: this.#count });
		} else if (this.#count % lineEveryCount === 0) {
			this.#io.stderr.write(`${this.#verb} ${this.#count} records\n`);
		}
	}

	/** Takes the bar away; also before an error is shown. */
	stop(): void {
		this.#bar?.stop();
	}
}
