#!/usr/bin/env bash
# Installs what the tests and benchmarks need beyond npm, only what is missing: Redis and RocksDB's db_bench as peers to
# compare with, nc and strace to drive and torment the server. Without apt (or without the right to use it) it says what is missing
# and succeeds, so that a developer can run the rest; with CI=true it fails, so that CI never skips silently.
# The service that the redis-server package may start is not used: tests start their own on loopback.
set -euo pipefail

# Each line: a command, and the Debian package that has it.
peers=(
	'redis-server redis-server'
	'redis-cli redis-tools'
	'redis-benchmark redis-tools'
	'db_bench rocksdb-tools'
	'nc netcat-openbsd'
	'strace strace'
)

missing_packages() {
	local peer
	for peer in "${peers[@]}"; do
		command -v "${peer%% *}" >/dev/null 2>&1 || echo "${peer##* }"
	done | sort -u
}

give_up() {
	echo "install-peers: $1; still missing: $(missing_packages | tr '\n' ' ')" >&2
	if [ "${CI:-}" = true ]; then exit 1; fi
	exit 0
}

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -eq 0 ]; then exit 0; fi

command -v apt-get >/dev/null 2>&1 || give_up 'there is no apt-get here'
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	# -n: never ask for a password in the middle of a test run.
	sudo -n true 2>/dev/null || give_up 'neither root nor sudo without a password'
	as_root=(sudo -n)
fi

install_packages() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "${packages[@]}" >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "install-peers: installing ${packages[*]}" >&2
# The lists are fetched only when the first try fails: most machines have them.
if ! install_packages; then
	"${as_root[@]}" apt-get update >/dev/null 2>&1 || true
	# A service that does not start in a container fails the installation but leaves the programs in place.
	install_packages || true
fi
if [ -n "$(missing_packages)" ]; then
	tail -n 5 "$log" >&2
	give_up 'apt-get could not install everything'
fi
