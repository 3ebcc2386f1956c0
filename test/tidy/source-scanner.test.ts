/** The scanner under the tidy rules: strings, templates, comments and regular expressions must not fool it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionSpans, importsOf, scanSource } from './source-scanner.js';

const collapse = (text: string) => text.replace(/\s+/g, ' ').trim();

void test('comments, strings and regular expressions are blanked, code keeps its place', () => {
	const cases: [string, string][] = [
		["a('{') // {", 'a( )'],
		['a /* { \n */ b', 'a b'],
		["x = 'it\\'s {'; y", 'x = ; y'],
		['x = /[/{]\\/{/g.test(y); z', 'x = g.test(y); z'],
		['x = a / b / c', 'x = a / b / c'],
		['return /{/', 'return'],
		[`x = \`{ $\{a + \`}$\{b}\`} {\`; c`, 'x = a + b ; c'],
		[`x = \`$\{{ a: 1 }.a} {\` + d`, 'x = { a: 1 }.a + d'],
		['#!/usr/bin/env node\n/** { */ a', 'a'],
		["x = 'never closed\ny", 'x = y'],
	];
	for (const [text, expected] of cases) {
		const { code, uncommented } = scanSource(text);
		assert.equal(collapse(code), expected, text);
		assert.equal(code.length, text.length, text);
		assert.equal(uncommented.length, text.length, text);
		assert.equal(code.split('\n').length, text.split('\n').length, text);
	}
});

void test('functions of every form are found with their length, blocks and literals are not', () => {
	const body = '{\n\n}';
	const functions = [
		`function f(a: number) ${body}`,
		`function f(a: { b: number }): { c: number } | undefined ${body}`,
		`async *f<T extends Map<string, number>>(a = g(1)): AsyncGenerator<T> ${body}`,
		`const f = (a: number): a is 3 => ${body}`,
		`x.then(async () => ${body})`,
		`class A extends B(C) { constructor(private a = 1) ${body} }`,
		`class A { get #size(): number ${body} }`,
		`asserts(a: unknown): asserts a is () => void ${body}`,
	];
	for (const text of functions)
		assert.deepEqual(functionSpans(scanSource(text).code), [{ line: 1, lineCount: 3 }], text);
	const others = [
		`if (a) ${body} else ${body}`,
		`for await (const a of b()) ${body}`,
		`while (f(x)) ${body} do ${body} while (y)`,
		`switch (a) ${body} try ${body} catch (error) ${body} finally ${body}`,
		`const a: Map<string, number> = ${body}`,
		`interface A ${body} class B extends C(D) ${body} class E ${body}`,
		`x = y ? f(a) : ${body}`,
		`call(a, ${body}, b)`,
	];
	for (const text of others) assert.deepEqual(functionSpans(scanSource(text).code), [], text);
});

void test('a class behind a function is not taken for its body', () => {
	const text = 'function a(): void {}\nclass B {\n\n}\ninterface C { d(): string }\nexport class D {\n\n}';
	assert.deepEqual(functionSpans(scanSource(text).code), [{ line: 1, lineCount: 1 }]);
});

void test('nested functions are measured each for itself', () => {
	const text = 'function a() {\n\tb(() => {\n\t\tc();\n\t});\n}\n';
	assert.deepEqual(functionSpans(scanSource(text).code), [
		{ line: 2, lineCount: 3 },
		{ line: 1, lineCount: 5 },
	]);
});

void test('imports are found in every form, and only real ones', () => {
	const text = [
		"import { a,\n\tb } from './a.js';",
		"import type { c } from './c.js';",
		"import './d.js';",
		"import * as e from 'node:fs';",
		"export { f } from './f.js';",
		"export type { g } from './g.js';",
		"const h = await import('./h.js');",
		"// import i from './i.js';",
		'const j = "import k from \'./k.js\'";',
		"export const l = 1; const from = 'no import';",
	].join('\n');
	const found = importsOf(scanSource(text)).map((found) => `${found.specifier}${found.isTypeOnly ? ' (type)' : ''}`);
	assert.deepEqual(found.sort(), ['./a.js', './c.js (type)', './d.js', './f.js', './g.js (type)', './h.js', 'node:fs']);
});
