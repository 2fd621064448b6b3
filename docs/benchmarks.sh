#!/usr/bin/env bash
# The full run of docs/benchmarks.md: every scenario against a fresh server on this machine. About a quarter of an hour.
# Usage: docs/benchmarks.sh [DIR]; results go to DIR (default bench-results).
set -euo pipefail
cd "$(dirname "$0")/.."
make build >/dev/null
program=$PWD/bin/msgserver out=${1:-bench-results} data=$(mktemp -d)
listen=127.0.0.1:3015 admin=127.0.0.1:3017
mkdir -p "$out"
trap 'kill "$server" 2>/dev/null || true; rm -rf "$data"' EXIT

# one NAME ARGUMENTS… starts a server on an empty directory, runs bench against it and stops it.
one() {
	local name=$1
	shift
	"$program" serve --data "$data/$name" --listen "$listen" --admin "$admin" >/dev/null 2>"$out/$name.log" &
	server=$!
	until curl -sf "http://$admin/readyz" >/dev/null; do sleep 0.1; done
	printf '\n$ msgserver bench %s\n' "$*"
	"$program" bench "$@" --addr "$listen" --admin "$admin" || echo "exit $?"
	kill "$server"
	wait "$server" || true
	rm -rf "${data:?}/$name"
}

one connect-storm run connect-storm --rate 1000 --users 5000 --force --out "$out/connect-storm"
one idle run idle --users 15000 --warmup 0s --duration 10s --force --out "$out/idle"
one direct-1000 run direct --rate 1000 --force --out "$out/direct-1000"
one direct-5000 run direct --rate 5000 --force --out "$out/direct-5000"
one direct-pipelined run direct --window 64 --force --out "$out/direct-pipelined"
one direct-pipelined-msgpack run direct --window 64 --format msgpack --force --out "$out/direct-pipelined-msgpack"
one direct-one run direct --users 2 --window 1 --force --out "$out/direct-one"
one group-10 run group --members 10 --users 100 --rate 500 --force --out "$out/group-10"
one group-100 run group --members 100 --rate 100 --force --out "$out/group-100"
one group-1000 run group --members 1000 --rate 20 --force --out "$out/group-1000"
one group-1000-pipelined run group --members 1000 --window 8 --force --out "$out/group-1000-pipelined"
one group-10000 run group --members 10000 --rate 2 --force --out "$out/group-10000"
one offline-drain run offline-drain --users 3000 --rate 50 --force --out "$out/offline-drain"
one history run history --rate 1000 --force --out "$out/history"
one slow-consumer run slow-consumer --force --out "$out/slow-consumer"
one reconnect-storm run reconnect-storm --users 4000 --ramp 2s --force --out "$out/reconnect-storm"
one receipts run receipts --rate 2000 --force --out "$out/receipts"
one mixed run mixed --rate 1000 --force --out "$out/mixed"
one capacity capacity direct --rate 10000 --slo 'ack.p99<50ms,loss==0'
