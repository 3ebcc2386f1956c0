/**
 * A package that takes a level instance, on ours: quadstore, an RDF store that keeps every quad under six keys by batches, and
 * answers patterns with iterators over ranges. Over three partitions, so each quad lies in several of them.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Quadstore } from 'quadstore';
import { DataFactory } from 'rdf-data-factory';
import { MillraceLevel } from '../../src/level/index.js';
import { TemporaryDirectory } from '../support/server-process.js';

const countryCount = 20;
const cityCount = 300;

test('quadstore on a level of three partitions', async () => {
	using directory = new TemporaryDirectory();
	const dataFactory = new DataFactory();
	const node = (name: string) => dataFactory.namedNode(`http://example.com/${name}`);
	const isIn = node('isIn');
	const label = node('label');
	const quads = Array.from({ length: cityCount }, (_, i) => [
		dataFactory.quad(node(`city-${i}`), isIn, node(`country-${i % countryCount}`)),
		dataFactory.quad(node(`city-${i}`), label, dataFactory.literal(`Stadt ${i} ☃`, 'de')),
	]).flat();
	const start = async () => {
		const backend = new MillraceLevel(join(directory.path, 'quads'), { partitions: 3, durability: 'none' });
		const store = new Quadstore({ backend, dataFactory });
		await store.open();
		return store;
	};
	let store = await start();
	await store.multiPut(quads);
	const subjectsIn = async (country: number): Promise<string[]> => {
		const { items } = await store.get({ predicate: isIn, object: node(`country-${country}`) });
		return items.map(({ subject }) => subject.value).sort();
	};
	const expectedIn = (country: number): string[] =>
		Array.from({ length: cityCount / countryCount }, (_, i) => node(`city-${country + i * countryCount}`).value).sort();
	assert.deepEqual(await subjectsIn(7), expectedIn(7));
	await store.multiPatch([quads[0]], [dataFactory.quad(node('city-0'), isIn, node('country-7'))]);
	assert.deepEqual(await subjectsIn(7), [...expectedIn(7), node('city-0').value].sort());
	assert.deepEqual(
		await subjectsIn(0),
		expectedIn(0).filter((name) => !name.endsWith('/city-0')),
	);
	await store.close();

	store = await start();
	const { items } = await store.get({ subject: node('city-42') }, { order: ['predicate'] });
	assert.deepEqual(
		items.map(({ object }) => object.value),
		[node('country-2').value, 'Stadt 42 ☃'],
	);
	const limited = await store.get({ predicate: label }, { limit: 10, reverse: true });
	assert.equal(limited.items.length, 10);
	assert.equal((await store.get({})).items.length, quads.length);
	await store.clear();
	assert.equal((await store.get({})).items.length, 0);
	await store.close();
});
