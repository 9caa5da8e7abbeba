#!/bin/bash
# boot.sh PROGRAM UNIT DIR: boot this machine's own systemd in a container, over a copy of
# the file system that is dropped again, with nothing but the unit and a process of another
# user that it watches; and say what became of it. In a mount namespace of its own.
set -euo pipefail
program=$1 unit=$2 dir=$3
mount -t tmpfs tmpfs /run # where nspawn leaves folders
mount -t tmpfs tmpfs "$dir"
cd "$dir"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
rm -rf root/etc/systemd/system/*.wants
install -m 755 "$program" root/usr/bin/massattach
install -m 644 "$unit" root/etc/systemd/system/massattach.service
install -d root/etc/massattach
cat >root/etc/massattach/serve.yml <<'EOF'
targets:
  - name: sleepy
    unit: sleepy.service
    arrest: [notify, interrupt]
    every: 1s
EOF
cat >root/etc/systemd/system/sleepy.service <<'EOF'
[Service]
ExecStart=/bin/sleep 1000
User=games
EOF
cat >root/try <<'EOF'
probed() { for i in {1..300}; do curl -s localhost:19847/metrics | grep -q '^massattach_stop_duration_seconds_count.*style="interrupt"' && return; sleep 0.1; done; }
probed
systemctl show massattach -p ActiveState
systemctl reload massattach && echo reloaded
grep CapEff "/proc/$(systemctl show -P MainPID massattach)/status"
curl -s localhost:19847/metrics | grep -E '^massattach_(converged|stop_duration_seconds_count)'
systemctl stop massattach
systemctl show massattach -p Result
EOF
cat >root/etc/systemd/system/try.service <<'EOF'
[Unit]
Wants=massattach.service sleepy.service
After=massattach.service sleepy.service
[Service]
Type=oneshot
StandardOutput=file:/said
ExecStart=/bin/bash /try
ExecStopPost=/bin/systemctl --no-block exit
EOF
cat >root/etc/systemd/system/try.target <<'EOF'
[Unit]
Wants=try.service
EOF
timeout 120 systemd-nspawn --quiet --directory root --boot --register=no --keep-unit --private-network \
	--link-journal=no --bind-ro=/sys/kernel/btf --capability=CAP_BPF,CAP_PERFMON \
	--system-call-filter='bpf @debug' systemd.unit=try.target >console 2>&1 || { cat console; exit 1; }
cat root/said
