#!/usr/bin/env bash
# Installs the tools that massattach bench is compared with: Debian's packages, and
# delve, which has none of its own here, by go install. As root. What can't be installed
# is left out: the benchmark says so, and goes on.
#
# The freezer needs nothing: cgroup v2 is mounted by the benchmark itself, where nobody
# else sees it.
set -uo pipefail

delve=v1.27.2

missing=()
for tool in gdb:gdb strace:strace lldb:lldb eu-stack:elfutils criu:criu perf:linux-perf; do
	command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	for package in "${missing[@]}"; do
		apt-get install -qq -y --no-install-recommends "$package" >/dev/null ||
			echo "peers.sh: $package can't be installed" >&2
	done
fi
command -v dlv >/dev/null || [ -x "$(go env GOPATH)/bin/dlv" ] ||
	(cd / && go install "github.com/go-delve/delve/cmd/dlv@$delve") ||
	echo "peers.sh: dlv can't be installed" >&2

for tool in gdb strace lldb eu-stack criu perf dlv; do
	path=$(PATH="$PATH:$(go env GOPATH)/bin" command -v "$tool") || path=absent
	printf '%-9s %s\n' "$tool" "$path"
done
