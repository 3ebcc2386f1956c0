/**
 * Every limit of Millrace, with its reason. Nothing in the product grows past a number on this page.
 * Relations between limits are asserted at the end, at module load.
 */
import { assert } from './assert.js';

const KiB = 1024;
const MiB = 1024 * KiB;

// --- data -----------------------------------------------------------------------------------------

/** Longest key. Index entries repeat keys and every comparison touches them; etcd and LMDB users live well below. */
export const keySizeMax = 16 * KiB;
/** Longest value. Bounded by what one arena, one log group and one frame must hold at once. */
export const valueSizeMax = 16 * MiB;
/** Sequence numbers stay exact in a double; at 10 M writes/s this lasts 28 years. */
export const sequenceMax = Number.MAX_SAFE_INTEGER;
/** Partitions in a directory. Each costs two threads, so more than cores is waste; 64 leaves room for big machines. */
export const partitionCountMax = 64;

// --- rings ----------------------------------------------------------------------------------------

/** Bytes of each request, reply and commit ring: some 8,000 commands of 128 B, a few ms of full load. */
export const ringSizeDefault = 1 * MiB;
/** Bytes of the log ring: what may be applied but not yet written; bounds the data in doubt at a crash. */
export const logRingSizeDefault = 4 * MiB;
/** A record above this fraction of its ring travels in a buffer of its own (see docs/formats/ring.md). */
export const ringInlineFraction = 4;

/** Bytes of records in buffers of their own that one ring may have under way: four of the largest, or one alone. */
export const ringOversizeBytesMax = 68 * MiB;

// --- partition ------------------------------------------------------------------------------------

/** Bytes of one memtable arena. Bigger means fewer flushes and longer replay; 64 MiB replays in about half a second. */
export const memtableSizeDefault = 64 * MiB;
/** Memtables of a partition, the one being written included; when all are full, writes wait for a flush. */
export const memtableCountMax = 3;
/** Bytes of a WAL segment: holds the largest group whole, small enough to recycle soon, large enough that rotation is rare. */
export const segmentSizeDefault = 24 * MiB;
/** Least bytes of a segment that is prepared at open when the disk has no room for a whole one: some thousand deletes. */
export const segmentShortSizeMin = 64 * KiB;
/** Bytes such a short segment leaves free: for a fresh manifest and its successor, and what the file system itself takes. */
export const segmentShortLeaves = MiB;
/** Spare preallocated segments kept ready, so that rotation never waits for zero-filling. */
export const segmentSpareCount = 2;
/** Bytes of one commit group: bounds the buffer of the log thread and the work of one checksum. */
export const groupSizeMax = 512 * KiB;
/** Bytes of groups the log thread gathers into one write. */
export const logStagingSize = 4 * groupSizeMax;
/** Bytes of a decoded SSTable block before compression; entries larger than this have a block of their own. */
export const blockSizeDefault = 4 * KiB;
/** Bytes of a block that is compressed, checked and decompressed in WebAssembly; larger ones are rare and take natives. */
export const codecAreaSize = 256 * KiB;
/** Bytes of linear memory behind those areas, a block cache: addresses stay small integers, below 2^31. */
export const codecTailSizeMax = 2 * 1024 * MiB - 2 * MiB;
/** Bytes of iterators' buffers of one size that a thread keeps for the next scan. */
export const bufferPoolSizeMax = 2 * MiB;
/** Bytes of decompressed blocks a partition may cache. */
export const blockCacheSizeDefault = 32 * MiB;
/** Bloom filter bits for each key: 10 gives about 1 % false positives. */
export const bloomBitsPerKey = 10;
/** Bloom filter bits for each key in the young levels, which every read asks first: 14 gives about 0.2 %. */
export const bloomBitsPerKeyYoung = 14;
/** Level-0 tables before they are compacted into the base level. */
export const levelZeroCountTrigger = 4;
/** Level-0 tables (or as many bytes of debt) at which writes are slowed down, ever more. */
export const levelZeroSlowCount = 20;
/** Level-0 tables at which writes stop: reads would drown otherwise. */
export const levelZeroStopCount = 36;
/** Levels, the youngest (0) included. Seven with a ratio of 10 hold more than any disk. */
export const levelCountMax = 7;
/** A level holds this many times the bytes of the one above it. */
export const levelSizeRatioDefault = 10;
/** Bytes the base level may hold: it is the one that level 0 is compacted into. */
export const baseLevelSizeDefault = 256 * MiB;
/**
 * Bytes of a table that a compaction writes, before it begins the next. Bounds what one compaction rewrites, and its disk use.
 */
export const tableFileSizeDefault = 32 * MiB;
/** Table sizes that one table may overlap in the level below its own: what compacting it would rewrite, ten times its bytes. */
export const grandparentOverlapFactor = 10;
/** Bytes that compactions still have to rewrite at which writes are slowed down. */
export const compactionDebtSlow = 4 * 1024 * MiB;
/** Bytes of compaction debt at which writes stop. */
export const compactionDebtStop = 16 * 1024 * MiB;
/** Compactions of one partition at once. */
export const compactionConcurrencyMax = 2;
/** Bytes of requests that a partition takes aside while writes are stalled, so that reads behind them pass: 30,000 small ones. */
export const waitingRequestsSizeMax = 4 * MiB;
/** Milliseconds a stopped write waits before it is refused with MILLRACE_OVERLOADED. */
export const stallTimeoutMsDefault = 10_000;
/** Milliseconds a snapshot may be held: every version since is kept on disk for it. A warning comes at half of it. */
export const snapshotAgeMaxMsDefault = 10 * 60 * 1000;
/** Snapshots of one partition at once. */
export const snapshotCountMax = 10_000;
/**
 * Live range tombstones of a partition: all are held in memory, and each compaction reads its share. Also those of one memtable,
 * those included that newer ones cover.
 */
export const rangeTombstoneCountMax = 10_000;
/**
 * Bytes of their bounds and of the sequences that snapshots make them keep. Each new one copies all: some 10 ms at most. Room for
 * 10,000 ranges with bounds of 200 bytes, or for 50 snapshots, with a deletion of everything after each, over 5,000 ranges.
 */
export const rangeTombstoneSizeMax = 4 * MiB;
/** Expiries heard of between two drains: some 1 ms of reading. */
export const expirySliceCount = 256;
/** Milliseconds an idle partition lets expiries gather before it wakes for them. */
export const expiryTickMs = 20;
/** Commands in one batch; their bytes are bounded like a value. */
export const batchCountMax = 65_536;
/** Versions one page of a scan looks at, at most: bounds its time where most are dead. */
export const scanStepCountMax = 100_000;
/** Bytes of one page of a scan, unless asked for otherwise. */
export const scanPageSizeDefault = 256 * KiB;
/** Bytes set aside on the disk, given up when it is full so that deletes and compactions can go on. */
export const reserveFileSizeDefault = 64 * MiB;
/** Bytes of the path of a checkpoint: what Linux takes. */
export const pathSizeMax = 4096;
/** Edits of a manifest before it is begun anew: bounds its size and what an open reads. */
export const manifestEditCountMax = 500;
/** Milliseconds between fsyncs with durability 'interval'. */
export const syncIntervalMsDefault = 1000;

/**
 * MiB of young generation of each of our threads. Hot paths leave hardly any garbage, so the usual 48 would only be memory
 * held: a process with six threads peaked 70 MB lower.
 */
export const youngGenerationSizeMb = 8;

/** Bytes a flush or compaction works with: buffers of its inputs, hashes and index of its output, and the allocator's slack. */
export const tableJobMemorySize = 64 * MiB;
/** Bytes of a thread besides what its work needs: V8's heap with its young generation, its stack, its code. */
export const threadMemorySize = 24 * MiB;
/** Bytes of a Node.js process with nothing but its main thread. */
export const processMemorySize = 64 * MiB;

// --- embedded -------------------------------------------------------------------------------------

/** Worker threads of the application attached to a database at once. Each costs three rings for each partition. */
export const attachedThreadCountMax = 32;
/** Attachments that were made and not given up: each has a port. Beyond, a program makes them and loses them. */
export const attachmentCountMax = 1024;
/** Bytes of each request, reply and commit ring of an attached thread. */
export const attachedRingSizeDefault = 1 * MiB;
/** Bytes of decompressed blocks that one thread keeps for its synchronous reads, over all partitions. */
export const syncCacheSizeDefault = 32 * MiB;
/** Bytes of requests one thread has under way, replies not counted; more wait, and then the caller is refused. */
export const inFlightSizeMaxDefault = 32 * MiB;
/** Bytes of calls that may wait for that window; a program that goes on without awaiting gets MILLRACE_BUSY. */
export const waitingCallsSizeMax = 256 * MiB;
/** Replies set aside by a partition for one thread that does not take them: it takes no more of its requests meanwhile. */
export const replyBacklogSizeMax = 64 * MiB;
/** Milliseconds a partition keeps its share of a snapshot over all partitions for an asker who may have died. */
export const epochCutAgeMaxMs = 30_000;
/** Milliseconds a snapshot waits for the batches of other threads, one of which may be blocked: they take some 10 ms. */
export const gateWaitMsMax = 30_000;
/**
 * Bytes of requests that wait in a partition while a batch over several partitions is undecided there: its decision may be behind
 * them in a ring, so they are taken. Room for two threads with everything they may have under way.
 */
export const lockedRequestsSizeMax = 64 * MiB;
/** Bytes of prepared and undecided batches of one partition. */
export const preparedSizeMax = 64 * MiB;
/** Times a batch over several partitions is tried anew when it meets another at a key. */
export const batchRetryCountMax = 1000;
/** Tables whose names fit the shared view of a partition: 2 TB of them. */
export const sharedViewTableCountMax = 65_536;
/** Tables of one partition that one reading thread has open: each keeps a file, and some 0.5 MB of index and filter. */
export const readerTableCountMax = 512;
/** Share of a reading thread's cache for rows, what is hot in tables; the rest is for blocks. docs/decisions.md has figures. */
export const rowCacheShare = 0.75;
/** Bytes of a row at most, key, value and header: of a larger one the lookup is not what costs, and it drives out many. */
export const cachedRowSizeMax = 4 * KiB;
/** Milliseconds a synchronous read waits until what it found is durable: a log that takes longer is as good as stuck. */
export const syncReadWaitMsMax = 30_000;
/** Times a synchronous read begins anew because a memtable was given up under it: one is more than anybody will see. */
export const syncReadTriesMax = 100_000;

// --- server ---------------------------------------------------------------------------------------

/** Commands of one connection in flight; also the size of its reorder window. Power of two. */
export const inFlightPerConnectionMax = 1024;
/** Arguments of one command: bounds what MSET or DEL may hold. */
export const argumentCountMax = 65_536;
/** Bytes of one inline command line; what telnet sends is far shorter. Same as Redis. */
export const inlineSizeMax = 64 * KiB;
/** Bytes of one command with all its arguments: two largest values plus slack. */
export const commandSizeMax = 64 * MiB;
/** Bytes of one msgpack frame: a largest key and value, the cursor of the page they are in, plus headers. */
export const frameSizeMax = valueSizeMax + 2 * keySizeMax + 1 * KiB;
/** Bytes of replies waiting in one connection at which we stop reading from it. */
export const outputSizeSoft = 1 * MiB;
/** Bytes of replies waiting at which a client that never reads is disconnected. */
export const outputSizeMax = 256 * MiB;
/** Connections at once. Redis' own default. */
export const connectionCountMax = 10_000;

// --- a full disk ----------------------------------------------------------------------------------

/** Pause before a job that found the disk full is tried again, and how far the pause grows: each try writes the disk full. */
export const spaceRetryMsMin = 1000;
export const spaceRetryMsMax = 60_000;
/** On a full disk, free space is looked at this often, and deletes are flushed: only what is in tables can be compacted. */
export const reclaimIntervalMs = 1000;

// --- client ---------------------------------------------------------------------------------------

/** Bytes of requests a client has sent and not seen answered: two largest values, or a full window of 32 KiB each. */
export const clientInFlightSizeMax = 32 * MiB;
/** Calls that wait in a client for the window; a program that makes more without awaiting gets an error. */
export const clientWaitingCountMax = 262_144;
/** Keys a client asks for in one getMany frame, and entries in one page of a scan. */
export const clientBatchCountMax = 1024;
/** Bytes of keys in one getMany frame. */
export const clientBatchSizeMax = 256 * KiB;

assert((ringSizeDefault & (ringSizeDefault - 1)) === 0, 'ring sizes are powers of two');
assert((logRingSizeDefault & (logRingSizeDefault - 1)) === 0, 'ring sizes are powers of two');
assert((inFlightPerConnectionMax & (inFlightPerConnectionMax - 1)) === 0, 'the reorder window is a power of two');
assert(groupSizeMax <= logRingSizeDefault / ringInlineFraction, 'an ordinary group fits the log ring inline');
assert(valueSizeMax + keySizeMax + 64 * KiB < memtableSizeDefault, 'the largest entry fits an empty arena');
assert(valueSizeMax + keySizeMax + 4 * KiB < segmentSizeDefault, 'the largest group fits a segment');
assert(ringOversizeBytesMax >= 4 * frameSizeMax, 'a ring takes several of the largest messages');
assert(keySizeMax <= 0xffff, 'key sizes are u16 in every format');
assert(blockSizeDefault < segmentSizeDefault, 'blocks are small beside files');
assert(commandSizeMax >= 2 * (valueSizeMax + keySizeMax), 'a command holds a largest pair');
