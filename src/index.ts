/**
 * Millrace: what applications import. Everything else is internal.
 */
export { type ErrorCode, MillraceError } from './base/errors.js';
export { type Client, type ConnectOptions, connect } from './client/client.js';
export type { Bytes } from './command/checked-bytes.js';
export type { PutOptions } from './command/put-options.js';
export type { Durability } from './command/worker-boot.js';
export type { DatabaseCheckpoint } from './engine/checkpoint-directory.js';
export type { Database } from './engine/database.js';
export { type OpenOptions, open } from './open.js';
