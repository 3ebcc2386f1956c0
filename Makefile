# Every target a person or CI calls. `make serve` and `make test` work on a fresh machine with Node >= 20, npm and make.
.PHONY: serve test check build bench bench-engine bench-embedded demo crash fuzz format wasm clean

SOURCES := $(shell find src workers native-bench test -name '*.ts' 2>/dev/null)

# `npm install`, not `npm ci`: npm 11.19 refuses any lock file with optional packages of other platforms.
node_modules/.installed: package.json package-lock.json
	npm install --no-audit --no-fund
	@touch $@

dist/.built: node_modules/.installed tsconfig.json $(SOURCES)
	rm -rf dist
	npx tsc -p tsconfig.json
	@chmod +x dist/src/cli/main.js 2>/dev/null || true
	@touch $@

build: dist/.built

serve: build
	node dist/src/cli/main.js serve $(ARGS)

test: build
	bash test/support/install-peers.sh
	node dist/test/support/run-tests.js

check: build
	npx biome check .
	npx oxlint --type-aware .
	node --test dist/test/tidy/*.test.js

format: node_modules/.installed
	npx biome check --write .

# Against Redis, through sockets. For the storage engine alone against RocksDB: bench-engine.
bench: build
	bash test/support/install-peers.sh
	node dist/native-bench/redis-comparison.js $(ARGS)
	node dist/native-bench/read-latency.js

# ARGS='--keys 1000000,10000000 --rounds 3'
bench-engine: build
	bash test/support/install-peers.sh
	node dist/native-bench/engine/engine-comparison.js $(ARGS)

# Beside lmdb and classic-level. ARGS='--keys 200000,5000000 --rounds 3 --only millrace,lmdb', or ARGS='--load 10000000'
bench-embedded: build
	node dist/native-bench/embedded/embedded-comparison.js $(ARGS)

demo: build
	node dist/native-bench/demo.js $(ARGS)

# Compiles src/codec/wasm to src/codec/wasm-module.ts, which is committed; a test compares the two.
wasm: build
	node dist/test/support/write-wasm-module.js

CYCLES ?= 200
crash: build
	node dist/test/crash/kill-loop.js --cycles $(CYCLES)

fuzz: build
	MILLRACE_FUZZ_RUNS=$(or $(RUNS),200000) node --test dist/test/fuzz/*.test.js

clean:
	rm -rf dist bench-results .demo
