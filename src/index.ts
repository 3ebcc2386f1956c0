/**
 * Millrace: what applications import. Everything else is internal.
 */
export { attach } from './attach.js';
export { type ErrorCode, MillraceError } from './base/errors.js';
export { type Client, type ConnectOptions, connect } from './client/client.js';
export type { Bytes } from './command/checked-bytes.js';
export type { PutOptions } from './command/put-options.js';
export type {
	AbortOptions,
	BatchOperation,
	CheckpointInfo,
	ConditionOptions,
	CountOptions,
	ExpiryOptions,
	FileProblem,
	KeyRange,
	ReadOptions,
	Snapshot,
	Store,
	StoreEntry,
	StorePutOptions,
	StoreScanOptions,
	StoreWriteOptions,
	WriteOptions,
	Written,
} from './command/store.js';
export type { Durability } from './command/worker-boot.js';
export type { Attachment } from './engine/attach-messages.js';
export type { DatabaseCheckpoint } from './engine/checkpoint-directory.js';
export type { Database } from './engine/database.js';
export type { EncodedOperation, EncodedScanOptions, EncodedStore } from './engine/encoded-store.js';
export { type Encoding, type EncodingName, json, msgpack } from './engine/encodings.js';
export type { OpenProgress } from './engine/partition-link.js';
export type { Pressure } from './engine/pressure.js';
export type { DatabaseEvent } from './engine/session.js';
export type { StoreEvent } from './engine/store-events.js';
export type { StoreWriter, WriterOptions, WriterRecord, WriterStats } from './engine/store-writer.js';
export { type OpenOptions, open } from './open.js';
