/** What `make wasm` runs: compiles the codec's WebAssembly and writes it to the file that is committed. */
import { writeFileSync } from 'node:fs';
import { compileWasmModule, wasmModulePath, wasmModuleText } from './wasm-module.js';

const module = compileWasmModule();
writeFileSync(wasmModulePath, wasmModuleText(module));
console.log(`${wasmModulePath}: a module of ${module.length} bytes`);
