import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../src/base/prng.js';
import { addDecimals, zeroDecimal } from '../../../src/storage/lsm/apply/decimal.js';
import { testSeed } from '../../support/seed.js';

/** Adds two texts that stand in the middle of other bytes. */
function add(a: string, b: string): string {
	const left = Buffer.from(`9${a}9`, 'latin1');
	const right = Buffer.from(`99${b}99`, 'latin1');
	return addDecimals(left, 1, a.length, right, 2, b.length).toString('latin1');
}

const min = String(-(2n ** 63n));
const max = String(2n ** 63n - 1n);

test('the edges of 64 bits', () => {
	assert.equal(add(max, '0'), max);
	assert.equal(add(max, '1'), 'overflow');
	assert.equal(add(min, '-1'), 'overflow');
	assert.equal(add(min, max), '-1');
	assert.equal(add(String(2n ** 63n - 2n), '1'), max);
	assert.equal(add('0', min), min);
	assert.equal(add(min, min), 'overflow');
	assert.equal(add('999999999999999', '1'), '1000000000000000');
	assert.equal(add('9007199254740993', '1'), '9007199254740994');
	assert.equal(add('-5', '5'), '0');
});

test('what Redis takes for no integer is none, on either side, the empty value included', () => {
	const none = [
		'',
		' ',
		'-',
		'+1',
		'-0',
		'00',
		'01',
		'-01',
		'1 ',
		' 1',
		'1.0',
		'1e3',
		'a',
		'1\n',
		'\xb2',
		'9'.repeat(20),
	];
	none.push('9223372036854775808', '-9223372036854775809', '1\u0000', '000000000000000000001');
	for (const text of none) {
		assert.equal(add(text, '1'), 'not a number', JSON.stringify(text));
		assert.equal(add('1', text), 'not a number', JSON.stringify(text));
	}
	assert.equal(addDecimals(zeroDecimal, 0, 1, Buffer.from('7'), 0, 1).toString(), '7');
});

test('sums equal those of BigInt', () => {
	const prng = new Prng(testSeed('decimal'));
	const random = (): bigint => {
		const bits = 1 + prng.below(64);
		const value = (BigInt(prng.nextU32()) << 32n) | BigInt(prng.nextU32());
		return BigInt.asIntN(64, prng.chance(0.5) ? value >> BigInt(64 - bits) : -(value >> BigInt(64 - bits)));
	};
	for (let i = 0; i < 20_000; i++) {
		const a = random();
		const b = random();
		const sum = a + b;
		const fits = sum >= -(2n ** 63n) && sum < 2n ** 63n;
		assert.equal(add(String(a), String(b)), fits ? String(sum) : 'overflow', `${a} + ${b}`);
	}
});
