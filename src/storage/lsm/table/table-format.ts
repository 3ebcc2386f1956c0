/**
 * The bytes of an SSTable; docs/formats/sstable.md is the page. All numbers little-endian.
 *
 *   file     data block* | expiry block* | filter block | index block | [range tombstones block] | [expiry directory block]
 *            | properties block | footer                                                   nothing between, nothing after
 *   block    header (40 bytes) | payload
 *   data     entry* | u32 restart offset* | u32 restart count                               the payload once decompressed
 *   entry    varint shared | varint unshared | varint valueSize | u53 sequence | u8 tag | [u53 expiresAtMs]
 *            | key[shared..] | value
 *   expiry   varint of milliseconds since the row before | varint data block number | varint entry number in it
 *   footer   96 bytes of the same frame in every format version, so a newer file is told from a damaged one
 *
 * Invariants: a checksum covers every byte of the file but the footer's magic, and is verified before anything it
 * covers is believed. A block's header names its table and its file offset, so a read served from the wrong place
 * fails. Numbers here are persistent: append, never renumber; any change of layout raises `tableFormatVersion`.
 */
import { keySizeMax } from '../../../base/limits.js';
import { varintSizeMax } from '../../../base/varint.js';
import { storedValueSizeMax } from '../entry.js';

/** The version this code writes, and the newest it reads. Version 1 had no range tombstones and no expiry section. */
export const tableFormatVersion = 2;
export const tableFormatVersionMin = 1;

// --- block header ---------------------------------------------------------------------------------

/** XXH3-64 of the rest of the header and the payload. */
export const blockChecksumOffset = 0;
/** u32: bytes of the payload as stored. */
export const blockStoredSizeOffset = 8;
/** u32: bytes of the payload once decompressed. */
export const blockRawSizeOffset = 12;
/** u53 */
export const blockTableIdOffset = 16;
/** u53: where in the file this header starts. */
export const blockFileOffsetOffset = 24;
export const blockCodecOffset = 32;
export const blockKindOffset = 33;
/** Six bytes of zero up to the payload. */
export const blockReservedOffset = 34;
export const blockHeaderSize = 40;

/** What the codec byte may say: src/codec/block-codec.ts. */
export { codecDeflate, codecLz4, codecRaw, codecZstd } from '../../../codec/block-codec.js';

export const blockKindData = 1;
export const blockKindFilter = 2;
export const blockKindIndex = 3;
export const blockKindProperties = 4;
export const blockKindRangeTombstones = 5;
export const blockKindExpiry = 6;
export const blockKindExpiryDirectory = 7;

/** Largest `blockSize` a builder may be asked for. */
export const blockSizeMax = 1024 * 1024;
/** Largest payload of a data block: one largest entry with its restart table. Bounds what a reader allocates. */
export const dataBlockRawSizeMax = Math.max(blockSizeMax, keySizeMax + storedValueSizeMax + 64);

// --- data block -----------------------------------------------------------------------------------

/** Every so many entries the key is stored whole, and its offset goes to the restart table. */
export const restartInterval = 16;

/** Bytes of sequence and tag: the part of an entry's header whose size does not vary. */
export const entryTagOffset = 8;
export const entryFixedSize = 9;
export const entryExpirySize = 8;
/** The low four bits of the tag are the kind (storage/lsm/entry.ts). */
export const tagKindMask = 0x0f;
export const tagHasExpiry = 0x10;
/** Bytes of an entry besides its key and value, at most. */
export const entryOverheadMax = 3 * varintSizeMax + entryFixedSize + entryExpirySize;

// --- filter block ---------------------------------------------------------------------------------

/** u32; 0 means no filter: every key may be there. */
export const filterLineCountOffset = 0;
/** u8: bits probed for each key. Three bytes of zero follow. */
export const filterProbeCountOffset = 4;
export const filterHeaderSize = 8;
/** One line of the filter: a cache line, so that a probe misses at most one. */
export const filterLineSize = 64;

// --- index block ----------------------------------------------------------------------------------

/** u32, then that many rows, then the bytes of all separators. */
export const indexBlockCountOffset = 0;
export const indexHeaderSize = 4;
/** Row: u32 bytes of the data block with its header | u32 end of its separator | u53 sequence of its last entry. */
export const indexRowBlockSizeOffset = 0;
export const indexRowKeyEndOffset = 4;
export const indexRowSequenceOffset = 8;
export const indexRowSize = 16;

// --- properties block -----------------------------------------------------------------------------

/** u32: format version of the writer. */
export const propertiesVersionOffset = 0;
/** u32: data block size the builder aimed at. */
export const propertiesBlockSizeOffset = 4;
export const propertiesEntryCountOffset = 8;
export const propertiesTombstoneCountOffset = 16;
export const propertiesExpiryCountOffset = 24;
export const propertiesMinSequenceOffset = 32;
export const propertiesMaxSequenceOffset = 40;
/** u53: distinct keys, which is what the filter was sized for. */
export const propertiesKeyCountOffset = 48;
/** u53: bytes of all data blocks before compression. */
export const propertiesRawSizeOffset = 56;
/** u16 */
export const propertiesFirstKeySizeOffset = 64;
/** u16, then four bytes of zero; in version 1 the first key and the last key follow. */
export const propertiesLastKeySizeOffset = 66;
export const propertiesHeaderSizeVersion1 = 72;
/** u53, 0 when no entry has an expiry */
export const propertiesMinExpiresAtMsOffset = 72;
export const propertiesMaxExpiresAtMsOffset = 80;
/** u32, then four bytes of zero, then the first key and the last key. */
export const propertiesRangeTombstoneCountOffset = 88;
export const propertiesHeaderSize = 96;

// --- range tombstones block -----------------------------------------------------------------------

/** u32, then that many rows in order: start ascending, then sequence descending. */
export const rangeTombstoneCountOffset = 0;
export const rangeTombstoneHeaderSize = 4;
/** Row: u53 sequence | u16 bytes of the start | u16 bytes of the end | start | end */
export const rangeTombstoneStartSizeOffset = 8;
export const rangeTombstoneEndSizeOffset = 10;
export const rangeTombstoneKeysOffset = 12;

// --- expiry section -------------------------------------------------------------------------------

/** Payload of an expiry block, at most: small, since a reader keeps one of each table in memory. */
export const expiryBlockSizeMax = 16 * 1024;
/** A varint of 53 bits and two of 32. */
export const expiryRowSizeMax = 8 + 2 * varintSizeMax;

/** u32, then a row for each expiry block. */
export const expiryDirectoryCountOffset = 0;
export const expiryDirectoryHeaderSize = 4;
/** Row: u53 time of the block's first row | u32 rows | u32 bytes of the block with its header */
export const expiryDirectoryTimeOffset = 0;
export const expiryDirectoryRowCountOffset = 8;
export const expiryDirectoryBlockSizeOffset = 12;
export const expiryDirectoryRowSize = 16;

// --- footer ---------------------------------------------------------------------------------------

/** u53 */
export const footerTableIdOffset = 0;
/** u53: where the footer itself starts; the file ends `footerSize` bytes later. */
export const footerFileOffsetOffset = 8;
/** u53 offset of the filter block; index, range tombstones, expiry directory and properties follow it. */
export const footerFilterOffsetOffset = 16;
/** u53 bytes with header of this block, as for each below. */
export const footerFilterSizeOffset = 24;
export const footerIndexSizeOffset = 32;
export const footerPropertiesSizeOffset = 40;
/** u53 bytes of all expiry blocks, which lie between data and filter. Zero in version 1, as are the next two. */
export const footerExpirySizeOffset = 48;
/** 0: the table has none */
export const footerRangeTombstonesSizeOffset = 56;
export const footerExpiryDirectorySizeOffset = 64;
/** Four bytes of zero up to the version. */
export const footerReservedOffset = 72;
/** u32 */
export const footerVersionOffset = 76;
/** XXH3-64 of the footer up to here. */
export const footerChecksumOffset = 80;
export const footerMagicOffset = 88;
export const footerSize = 96;

/** The last eight bytes of every table: "MRTABLE" and a newline, which text-mode copies would damage. */
export const footerMagic = Uint8Array.of(0x4d, 0x52, 0x54, 0x41, 0x42, 0x4c, 0x45, 0x0a);
