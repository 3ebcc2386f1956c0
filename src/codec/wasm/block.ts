/**
 * The module: LZ4 and XXH3 over one imported linear memory, which the embedder lays out from `heapBase` on
 * (src/codec/codec-memory.ts). AssemblyScript, compiled by `make wasm`.
 */
export { compress, decompress } from './lz4';
export { checksumMatches, writeChecksum } from './xxh3';

/** The first address that the module does not use itself. */
export const heapBase: usize = __heap_base;
