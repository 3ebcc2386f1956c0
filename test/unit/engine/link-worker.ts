/** Both threads of the link's test: the one with mail asks for a job, waits for its outcome, says what it was, and ends. */
import { type MessagePort, workerData } from 'node:worker_threads';

const { mailPort } = workerData as { mailPort?: MessagePort };
if (mailPort !== undefined) {
	mailPort.postMessage({ type: 'ready', replayedCount: 0, notes: [] });
	mailPort.postMessage({ type: 'job', id: 7, directory: '', job: 'a flush' });
	mailPort.once('message', (message: unknown) => {
		mailPort.postMessage({ type: 'note', text: JSON.stringify(message) });
		mailPort.close();
	});
}
