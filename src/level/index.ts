/**
 * `millrace/level`: a Millrace database for everything that takes a level instance (abstract-level 3).
 *
 *   import { MillraceLevel } from 'millrace/level';
 *   const level = new MillraceLevel('./data', { valueEncoding: 'json' });
 */
export type { LevelBatchOperation, LevelWriteOptions, MillraceLevelOptions } from './millrace-level.js';
export { MillraceLevel } from './millrace-level.js';
