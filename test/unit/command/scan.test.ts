/** What a program says of a range, its bytes, and pages read back: against the plainest meaning, and cut and changed anywhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixUpperBound } from '../../../src/base/bytes.js';
import { hasCode } from '../../../src/base/errors.js';
import { keySizeMax } from '../../../src/base/limits.js';
import { Prng } from '../../../src/base/prng.js';
import { type ScanPage, scanInOrder } from '../../../src/command/ordered-scan.js';
import {
	checkScan,
	decodeScanOptions,
	encodeScanOptions,
	type ScanOptions,
	type ScanSelection,
} from '../../../src/command/scan-options.js';
import { ScanPageReader } from '../../../src/command/scan-page.js';
import { isInRange, randomText } from '../../support/scan-world.js';
import { testSeed } from '../../support/seed.js';

function latin1(text: string): Buffer {
	return Buffer.from(text, 'latin1');
}

test('a prefix and its upper bound hold what begins with it', () => {
	const prng = new Prng(testSeed('prefix'));
	for (let i = 0; i < 5000; i++) {
		const prefix = latin1(randomText(prng, 0));
		const before = prefix.toString('hex');
		const key = latin1(randomText(prng, 1));
		const bound = prefixUpperBound(prefix);
		const isInside = Buffer.compare(prefix, key) <= 0 && (bound === undefined || Buffer.compare(key, bound) < 0);
		assert.equal(isInside, key.subarray(0, prefix.length).equals(prefix));
		assert.equal(prefix.toString('hex'), before, 'the prefix is left as it is');
	}
});

test('a selection holds what each of its parts holds, also when it comes from bytes', () => {
	const prng = new Prng(testSeed('scan options'));
	for (let i = 0; i < 3000; i++) {
		const selection: Record<string, Buffer | boolean> = { reverse: prng.chance(0.5), keysOnly: prng.chance(0.5) };
		if (prng.chance(0.5)) selection[prng.chance(0.5) ? 'gt' : 'gte'] = latin1(randomText(prng, 0));
		if (prng.chance(0.5)) selection[prng.chance(0.5) ? 'lt' : 'lte'] = latin1(randomText(prng, 0));
		if (prng.chance(0.5)) selection.prefix = latin1(randomText(prng, 0));
		const { options } = checkScan(selection as ScanSelection);
		const bytes = encodeScanOptions(options);
		const padded = Buffer.concat([Buffer.from('....'), bytes, Buffer.from('....')]);
		const decoded = decodeScanOptions(padded, 4, bytes.length);
		assert.deepEqual(decoded, bytes.length === 0 ? { ...options, isReverse: false } : options);
		const { gt, gte, lt, lte, prefix } = selection as Record<string, Buffer | undefined>;
		for (let j = 0; j < 10; j++) {
			const key = latin1(randomText(prng, 1));
			const expected =
				(gt === undefined || Buffer.compare(key, gt) > 0) &&
				(gte === undefined || Buffer.compare(key, gte) >= 0) &&
				(lt === undefined || Buffer.compare(key, lt) < 0) &&
				(lte === undefined || Buffer.compare(key, lte) <= 0) &&
				(prefix === undefined || key.subarray(0, prefix.length).equals(prefix));
			assert.equal(isInRange(key, decoded as ScanOptions), expected);
		}
	}
	const { options } = checkScan({ gte: 'lower', lt: 'upper' });
	const bytes = encodeScanOptions(options);
	for (let size = 1; size < bytes.length; size++) assert.equal(decodeScanOptions(bytes, 0, size), undefined);
	assert.equal(decodeScanOptions(Buffer.concat([bytes, Buffer.from('x')]), 0, bytes.length + 1), undefined);
	for (const flag of [64, 128]) {
		const changed = Buffer.from(bytes);
		changed[0] = (changed[0] as number) | flag;
		assert.equal(decodeScanOptions(changed, 0, changed.length), undefined);
	}
	assert.throws(
		() => checkScan({ prefix: Buffer.alloc(keySizeMax + 1) }),
		(error) => hasCode(error, 'MILLRACE_KEY_SIZE'),
	);
});

/** A page as a partition writes it. */
function pageOf(cursor: string, keys: readonly string[]): Buffer {
	const parts: Buffer[] = [Buffer.from([cursor.length, 0]), Buffer.from(cursor)];
	keys.forEach((key, i) => {
		const header = Buffer.alloc(24);
		header.writeUInt32LE(key.length, 0);
		header.writeUInt32LE(3, 4);
		header.writeDoubleLE(1_000 + i, 8);
		header.writeDoubleLE(i + 1, 16);
		parts.push(header, Buffer.from(`${key}val`));
	});
	return Buffer.concat(parts);
}

test('a page cut anywhere is refused, or ends between two entries', () => {
	const page = pageOf('cc', ['aa', 'bb', 'cc']);
	let endCount = 0;
	for (let size = 0; size < page.length; size++) {
		try {
			const reader = new ScanPageReader(page.subarray(0, size));
			while (reader.next() !== undefined);
			endCount++;
		} catch (error) {
			assert.ok(hasCode(error, 'MILLRACE_PROTOCOL'), String(error));
		}
	}
	assert.equal(endCount, 3, 'without entries, with one, with two');
	const reader = new ScanPageReader(page);
	assert.deepEqual(
		{ ...reader.next() },
		{
			key: new Uint8Array(Buffer.from('aa')),
			value: new Uint8Array(Buffer.from('val')),
			expiresAtMs: 1_000,
			version: 1,
		},
	);
});

test('pages of partitions come in one order, and what fails on the way ends the scan', async () => {
	const prng = new Prng(testSeed('ordered scan'));
	const all = Array.from({ length: 500 }, (_, i) => String(i).padStart(4, '0'));
	for (let round = 0; round < 30; round++) {
		const count = 1 + prng.below(7);
		const hands: string[][] = Array.from({ length: count }, () => []);
		for (const key of all) hands[prng.below(count)]?.push(key);
		const reverse = prng.chance(0.5);
		const limit = prng.chance(0.3) ? prng.below(500) : 1_000;
		let failsAfter = prng.chance(0.2) ? prng.below(20) : Number.POSITIVE_INFINITY;
		const fetch = async (partition: number, cursor: Uint8Array, countMax: number): Promise<ScanPage> => {
			if (failsAfter-- <= 0) throw new Error('the line is cut');
			await new Promise((resolve) => setImmediate(resolve));
			const after = Buffer.from(cursor).toString();
			const hand = reverse ? [...(hands[partition] ?? [])].reverse() : (hands[partition] ?? []);
			const rest = hand.filter((key) => after === '' || (reverse ? key < after : key > after));
			const keys = rest.slice(0, Math.min(countMax, prng.below(6)));
			return { bytes: pageOf(keys[keys.length - 1] ?? after, keys), isLast: keys.length === rest.length };
		};
		const found: string[] = [];
		const read = async (): Promise<void> => {
			const scan = scanInOrder(count, checkScan({ reverse, limit }), 5, fetch);
			for await (const { key } of scan) found.push(Buffer.from(key).toString());
		};
		const expected = (reverse ? [...all].reverse() : all).slice(0, limit);
		if (failsAfter === Number.POSITIVE_INFINITY) {
			await read();
			assert.deepEqual(found, expected);
		} else {
			await read().catch((error: Error) => assert.match(error.message, /line is cut/));
			assert.deepEqual(found, expected.slice(0, found.length));
		}
	}
});
