import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { checksum64 } from '../../../src/codec/checksum.js';
import { CodecMemory, shortChecksumSizeMax } from '../../../src/codec/codec-memory.js';
import { testSeed } from '../../support/seed.js';
import { compileWasmModule, wasmModulePath, wasmModuleText } from '../../support/wasm-module.js';

void test('the committed module is what its sources compile to', () => {
	assert.equal(readFileSync(wasmModulePath, 'utf8'), wasmModuleText(compileWasmModule()));
});

void test('checksums are those of the addon, at any offset', () => {
	const prng = new Prng(testSeed('wasm checksum'));
	const memory = new CodecMemory(100_000);
	const { bytes, tail } = memory;
	prng.fill(bytes, tail, 90_000);
	const sizes = [16_384, 65_536, 80_000];
	for (let size = shortChecksumSizeMax + 1; size < 1200; size++) sizes.push(size);
	for (let size = 2000; size < 2200; size++) sizes.push(size);
	for (const size of sizes) {
		const offset = tail + prng.below(64);
		const expected = checksum64(bytes, offset, size);
		memory.writeChecksum(offset, size, memory.input);
		assert.deepEqual(bytes.slice(memory.input, memory.input + 8), Uint8Array.from(expected), `${size} bytes`);
		assert.ok(memory.checksumMatches(offset, size, memory.input));
		const at = offset + prng.below(size);
		bytes[at] ^= 1 << prng.below(8);
		assert.ok(!memory.checksumMatches(offset, size, memory.input), 'one bit is noticed');
	}
});

void test('the module is not let near itself, nor beyond its memory', () => {
	const memory = new CodecMemory(0);
	const end = memory.bytes.length;
	assert.throws(() => memory.decompress(memory.input, 10, 0, 10), /outside/);
	assert.throws(() => memory.decompress(memory.input, 10, end - 5, 10), /outside/);
	assert.throws(() => memory.decompress(end - 5, 10, memory.output, 10), /outside/);
	assert.throws(() => memory.compress(memory.input, 10, 1000, 10), /outside/);
	assert.throws(() => memory.checksumMatches(end - 5, 300, memory.input), /outside/);
	assert.throws(() => memory.checksumMatches(memory.input, shortChecksumSizeMax, memory.output), /addon/);
});
