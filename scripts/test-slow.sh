#!/bin/bash
# What `make test` leaves out because it takes minutes: a full Debian is built and booted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

if (( EUID != 0 )); then
  echo "make test-slow 需要 root：测试要启动真的 libvirtd 和 QEMU。请用 sudo make test-slow" >&2
  exit 1
fi
. scripts/env.sh

step "system packages"; hypervisor/install.sh run test slow
step "Debian image";    hypervisor/debian/build.sh
step "slow tests";      cargo test --locked --features crash-points --test it -- --ignored --nocapture slow::
