/**
 * Batches over several partitions: what their ids look like, and what partitions say about those that are not settled.
 * The commands are opPrepare, opDecide, opForget and opTransactions; their layouts are in command-format.ts.
 *
 *   driver            every participant                     coordinator (a participant: owner of the first key)
 *   opPrepare ──────> checks, keeps keys, logs ─> ok
 *   all ok: opDecide(commit) ────────────────────────────> logs: this is the decision ─> ok
 *   then: opDecide(commit) ─> stores, logs ─> ok            the caller hears of it when all have stored
 *   then: opForget ──────────────────────────────────────> no longer kept
 *
 * One says no, or is not heard of: opDecide(abort) to all. A partition in doubt at open asks its coordinator: decided there means
 * commit, anything else abort. Ids are hexadecimal text outside of commands.
 */

export interface InDoubt {
	readonly id: string;
	readonly coordinator: number;
}

export interface TransactionReport {
	/** Prepared here and not decided. */
	readonly inDoubt: readonly InDoubt[];
	/** Committed here as the coordinator, and not forgotten. */
	readonly decided: readonly string[];
}
