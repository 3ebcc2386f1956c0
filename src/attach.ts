/**
 * The composition root of a database in a thread that attaches to it: gives the session its file system and its readers.
 */
import type { Attachment } from './engine/attach-messages.js';
import { AttachedSession } from './engine/attached-session.js';
import { Database } from './engine/database.js';
import { NodeFileSystem } from './env/node-file-system.js';
import { syncReadersOver } from './storage/lsm/shared/partition-reader.js';

/**
 * Attaches this thread to a database that another thread of the process has open: the same database, over rings of its own. What
 * this thread does goes to the partitions directly; the thread that opened the database may be busy meanwhile (only attaching,
 * closing, and background work such as flushes need it).
 *
 * Being attached does not keep a thread running, calls under way do. `close` detaches and leaves the database open; a thread that
 * ends without it is cleaned up after. When the opener closes the database, calls reject with MILLRACE_CLOSED.
 *
 *     // in the thread that opened it
 *     const attachment = db.attachment();
 *     new Worker(url, { workerData: { attachment }, transferList: attachment.transferList });
 *     // in the worker
 *     const db = await attach(workerData.attachment);
 *
 * @throws TypeError when it is no attachment, or was used before: each is for one thread, once
 * @throws MillraceError MILLRACE_CLOSED when the database is closed; MILLRACE_BUSY when 32 threads are attached
 */
export async function attach(attachment: Attachment): Promise<Database> {
	const fileSystem = new NodeFileSystem();
	const options = { fileSystem, makeSyncReader: syncReadersOver(fileSystem) };
	return new Database(await AttachedSession.start(attachment, options));
}
