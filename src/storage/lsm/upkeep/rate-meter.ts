/** Bytes a second over the recent past: each sample counts as much as all before it together, so the last few decide. */
export class RateMeter {
	#bytes = 0;
	#ms = 0;

	add(bytes: number, ms: number): void {
		this.#bytes = this.#bytes / 2 + bytes;
		this.#ms = this.#ms / 2 + Math.max(1, ms);
	}

	/** 0: nothing measured yet. */
	get bytesPerSecond(): number {
		return this.#ms === 0 ? 0 : (this.#bytes / this.#ms) * 1000;
	}
}
