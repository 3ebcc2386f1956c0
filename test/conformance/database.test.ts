/** The conformance suite over the embedded database, of one partition and of three. */
import { conformance } from './conformance.js';
import { makeDatabase } from './database-subject.js';

conformance('database of one partition, always durable', () => makeDatabase({ partitions: 1 }), 20);
conformance(
	'database of three partitions',
	() => makeDatabase({ partitions: 3, durability: 'none', memtableSize: 20 << 20 }),
	40,
);
