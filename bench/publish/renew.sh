#!/usr/bin/env bash
# Renews BENCHMARKS.md, its charts and bench/run.json by a full run on this machine. As
# root, and with nothing else running: it takes some 20 minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

bash bench/peers.sh
command=$(mktemp)
trap 'rm -f "$command"' EXIT
CGO_ENABLED=0 go build -o "$command" ./cmd/massattach
"$command" bench --raise-limits --format json >bench/run.json.new
mv bench/run.json.new bench/run.json
go run ./bench/publish <bench/run.json
