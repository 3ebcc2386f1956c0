/**
 * What RESP sessions ask of the server that has them. One for all sessions; main thread; nothing here may block,
 * so `info` answers from numbers the server keeps at hand.
 */
export interface RespHost {
	/** Version of the server, for HELLO. */
	readonly version: string;
	/** What CONFIG GET shows: parameter names in lower case, and their values. */
	readonly config: ReadonlyMap<string, string>;
	/** Milliseconds since the epoch, an integer. */
	nowMs(): number;
	/** The text of an INFO section, lines ended by CRLF; '' asks for the default sections, an unknown one gives ''. */
	info(section: string): string;
	/** A client asked the server to end. Called once per SHUTDOWN; the server drains its connections. */
	requestShutdown(): void;
}
