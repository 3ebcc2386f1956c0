/**
 * A server with options the binary does not offer, so that a short test sees flushes and merges: a launcher that takes
 * the same arguments as `millrace serve`, and --memtable-size. Stops as the binary does.
 */
import { parseArgs } from 'node:util';
import type { Durability } from '../../src/command/worker-boot.js';
import { startServer } from '../../src/server/server.js';

const { values } = parseArgs({
	options: {
		dir: { type: 'string', default: '' },
		port: { type: 'string', default: '0' },
		partitions: { type: 'string', default: '1' },
		durability: { type: 'string', default: 'always' },
		'memtable-size': { type: 'string', default: String(1 << 20) },
	},
});

const server = await startServer({
	directory: values.dir,
	port: Number(values.port),
	partitions: Number(values.partitions),
	durability: values.durability as Durability,
	memtableSize: Number(values['memtable-size']),
	log: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(`millrace ready on 127.0.0.1:${server.port} (${values.partitions} partitions, small memtables)\n`);
process.on('SIGTERM', () => {
	void server.close().then(() => process.exit(0));
});
process.exit(await server.ended);
