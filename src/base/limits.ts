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
/** Spare preallocated segments kept ready, so that rotation never waits for zero-filling. */
export const segmentSpareCount = 2;
/** Bytes of one commit group: bounds the buffer of the log thread and the work of one checksum. */
export const groupSizeMax = 512 * KiB;
/** Bytes of a decoded SSTable block before compression; entries larger than this have a block of their own. */
export const blockSizeDefault = 16 * KiB;
/** Bytes of decompressed blocks a partition may cache. */
export const blockCacheSizeDefault = 32 * MiB;
/** Bloom filter bits for each key: 10 gives about 1 % false positives. */
export const bloomBitsPerKey = 10;
/** Level-0 tables before they are merged into one run. Each costs a filter probe for every miss. */
export const levelZeroCountTrigger = 8;
/** Level-0 tables at which writes wait: reads would drown otherwise. */
export const levelZeroCountMax = 24;
/** Milliseconds between fsyncs with durability 'interval'. */
export const syncIntervalMsDefault = 1000;

// --- server ---------------------------------------------------------------------------------------

/** Commands of one connection in flight; also the size of its reorder window. Power of two. */
export const inFlightPerConnectionMax = 1024;
/** Arguments of one command: bounds what MSET or DEL may hold. */
export const argumentCountMax = 65_536;
/** Bytes of one inline command line; what telnet sends is far shorter. Same as Redis. */
export const inlineSizeMax = 64 * KiB;
/** Bytes of one command with all its arguments: two largest values plus slack. */
export const commandSizeMax = 64 * MiB;
/** Bytes of one msgpack frame: a largest key and value plus header. */
export const frameSizeMax = valueSizeMax + keySizeMax + 1 * KiB;
/** Bytes of replies waiting in one connection at which we stop reading from it. */
export const outputSizeSoft = 1 * MiB;
/** Bytes of replies waiting at which a client that never reads is disconnected. */
export const outputSizeMax = 256 * MiB;
/** Connections at once. Redis' own default. */
export const connectionCountMax = 10_000;

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
