/** What a partition's loop works with: its rings, its bell and its mail, made by the thread's entry point. */
import type { Clock } from '../src/env/ports.js';
import type { ThreadBell } from '../src/ring/bell.js';
import type { RingConsumer } from '../src/ring/ring-consumer.js';
import type { RingProducer } from '../src/ring/ring-producer.js';
import type { PartitionMail } from './partition-mail.js';

export interface LoopParts {
	readonly requests: RingConsumer;
	readonly replies: RingProducer;
	readonly heldReplies: RingProducer;
	readonly log: RingProducer;
	readonly bell: ThreadBell;
	readonly mail: PartitionMail;
	/** The words shared with main and the log thread. */
	readonly shared: SharedArrayBuffer;
	readonly clock: Clock;
}
