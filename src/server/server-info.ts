/**
 * What the server knows about itself, as INFO and CONFIG GET show it. Partition numbers are asked for every second and kept,
 * so that INFO answers at once.
 */
import { codeOf, statusOk } from '../base/errors.js';
import { keySizeMax, valueSizeMax } from '../base/limits.js';
import { opStats } from '../command/command-format.js';
import type { ReplySink } from '../command/command-port.js';
import type { Engine } from '../engine/engine.js';
import type { Listener } from '../net/listener.js';
import type { ServerOptions } from './server.js';

const refreshMs = 1000;
const none = new Uint8Array(0);

type Numbers = Record<string, number | string | null>;

export class ServerInfo implements ReplySink {
	readonly #engine: Engine;
	readonly #version: string;
	readonly #listener: () => Listener;
	readonly #startedMs = Date.now();
	readonly #partitions: Numbers[] = [];
	#sink = 0;
	#timer: NodeJS.Timeout | undefined;
	/** A round of questions is under way. */
	#missing = 0;

	constructor(engine: Engine, version: string, listener: () => Listener) {
		this.#engine = engine;
		this.#version = version;
		this.#listener = listener;
	}

	/** Begins to refresh the numbers. */
	start(): void {
		this.#sink = this.#engine.dispatcher.register(this);
		this.#refresh();
		this.#timer = setInterval(() => this.#refresh(), refreshMs).unref();
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#engine.dispatcher.unregister(this.#sink);
	}

	/** CONFIG GET: names Redis tools ask for, answered in their terms, and our own. */
	config(options: ServerOptions): ReadonlyMap<string, string> {
		const { durability } = this.#engine;
		return new Map([
			['appendonly', 'yes'],
			['appendfsync', { always: 'always', interval: 'everysec', none: 'no' }[durability]],
			['save', ''],
			['databases', '1'],
			['maxmemory', '0'],
			['maxmemory-policy', 'noeviction'],
			['bind', options.host ?? '127.0.0.1'],
			['dir', options.directory],
			['port', String(options.port ?? 7379)],
			['proto-max-bulk-len', String(valueSizeMax)],
			['durability', durability],
			['partitions', String(this.#engine.partitionCount)],
			['key-size-max', String(keySizeMax)],
			['value-size-max', String(valueSizeMax)],
		]);
	}

	/** The text of a section; '' and 'default' or 'all' give every section. */
	text(section: string): string {
		const wanted = section.toLowerCase();
		const isAll = wanted === '' || wanted === 'default' || wanted === 'all' || wanted === 'everything';
		return Object.entries(this.#sections())
			.filter(([name]) => isAll || name === wanted)
			.map(([name, numbers]) => this.#format(name, numbers))
			.join('\r\n');
	}

	onReply(
		_sequence: number,
		part: number,
		status: number,
		_kind: number,
		_number: number,
		bytes: Uint8Array,
		offset: number,
		size: number,
	): void {
		this.#missing--;
		const text = Buffer.from(bytes.subarray(offset, offset + size)).toString('utf8');
		this.#partitions[part] = status === statusOk ? (JSON.parse(text) as Numbers) : { refusal: codeOf(status) };
	}

	onRepliesEnd(): void {
		// The numbers are kept as they come.
	}

	onRoom(): void {
		// A question that found no room is asked again in a second.
	}

	#refresh(): void {
		if (this.#missing > 0) return;
		const { dispatcher, partitionCount } = this.#engine;
		for (let partition = 0; partition < partitionCount; partition++) {
			const isSent = dispatcher.submit(partition, this.#sink, 0, partition, opStats, 0, 0, none, 0, 0, none, 0, 0);
			if (isSent) this.#missing++;
		}
	}

	#sum(name: string): number {
		return this.#partitions.reduce((sum, numbers) => sum + Number(numbers[name] ?? 0), 0);
	}

	#sections(): Record<string, Numbers> {
		const memory = process.memoryUsage();
		const listener = this.#listener();
		return {
			server: {
				redis_version: '7.0.15',
				millrace_version: this.#version,
				redis_mode: 'standalone',
				process_id: process.pid,
				tcp_port: listener.port,
				uptime_in_seconds: Math.floor((Date.now() - this.#startedMs) / 1000),
				node_version: process.version,
				partitions: this.#engine.partitionCount,
			},
			clients: { connected_clients: listener.connectionCount },
			memory: {
				used_memory: memory.rss,
				used_memory_rss: memory.rss,
				heap_used: memory.heapUsed,
				memtable_bytes: this.#sum('memtableBytes'),
				arena_bytes: this.#sum('arenaBytes'),
				block_cache_bytes: this.#sum('cacheBytes'),
			},
			persistence: {
				loading: 0,
				aof_enabled: 1,
				durability: this.#engine.durability,
				replayed_commands: this.#engine.replayedCount,
				log_bytes: this.#sum('logBytes'),
				tables: this.#sum('tables'),
				table_bytes: this.#sum('tableBytes'),
				flushes: this.#sum('flushCount'),
				compactions: this.#sum('compactionCount'),
				refusal: this.#partitions.map((numbers) => numbers.refusal).find((code) => typeof code === 'string') ?? '',
			},
			stats: {
				total_connections_received: listener.acceptedCount,
				rejected_connections: listener.refusedCount,
				commands_in_flight: this.#engine.dispatcher.inFlight,
				block_cache_hits: this.#sum('cacheHits'),
				block_cache_misses: this.#sum('cacheMisses'),
				writes_applied: this.#sum('lastSequence'),
			},
		};
	}

	#format(name: string, numbers: Numbers): string {
		const title = `# ${name.charAt(0).toUpperCase()}${name.slice(1)}`;
		return `${[title, ...Object.entries(numbers).map(([key, value]) => `${key}:${String(value)}`)].join('\r\n')}\r\n`;
	}
}
