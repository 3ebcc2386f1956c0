/**
 * Both threads of the link's tests. The one with mail says what a partition may say; asks for a job, waits for its outcome, says
 * what it was, and ends. Asked to detach first, it leaves a message in the log ring, and takes it out when the outcome comes.
 */
import { type MessagePort, workerData } from 'node:worker_threads';
import type { MailToMain, MailToPartition, PartitionBoot } from '../../../src/command/worker-boot.js';
import { ThreadBell } from '../../../src/ring/bell.js';
import { RingConsumer } from '../../../src/ring/ring-consumer.js';
import { RingProducer } from '../../../src/ring/ring-producer.js';

const { mailPort, memory } = workerData as Partial<PartitionBoot>;
if (mailPort !== undefined && memory !== undefined) run(mailPort, memory.logRing);

function run(mailPort: MessagePort, logRing: SharedArrayBuffer): void {
	const say = (mail: MailToMain): void => mailPort.postMessage(mail);
	const log = new RingConsumer(logRing, undefined);
	say({ type: 'ready', replayedCount: 0, notes: [], transactions: { inDoubt: [], decided: [] } });
	say({ type: 'progress', step: 'log', done: 1, total: 2 });
	say({ type: 'poisoned', error: { code: 'MILLRACE_POISONED', message: 'the log failed' } });
	say({ type: 'diskFull', isFull: true });
	say({ type: 'job', id: 7, directory: '', job: 'a flush' });
	mailPort.on('message', (mail: MailToPartition) => {
		if (mail.type === 'detach') {
			const producer = new RingProducer(logRing, new ThreadBell(ThreadBell.create()));
			producer.reserve(8);
			producer.commit();
			producer.publish();
			say({ type: 'detached', channel: mail.channel });
			say({ type: 'note', text: 'detached' });
			return;
		}
		while (log.next());
		log.release();
		say({ type: 'note', text: JSON.stringify(mail) });
		mailPort.close();
	});
}
