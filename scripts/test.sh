#!/bin/bash
# Everything that has to hold, what answers quickly first; the last lines are the test runner's own summaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

if (( EUID != 0 )); then
  echo "make test 需要 root：测试要启动真的 libvirtd、QEMU 和 PostgreSQL。请用 sudo make test" >&2
  exit 1
fi
. scripts/env.sh

step "system packages"; hypervisor/install.sh run test
step "format";          cargo fmt --check
step "licences";        scripts/deny.sh
step "lints";           cargo clippy --locked --all-targets --features crash-points -- -D warnings
step "package tools";   scripts/deb.sh tools; hypervisor/chroot/build.sh; hypervisor/chroot/build.sh plain
step "browser";         scripts/browser.sh
step "control plane";   scripts/control-plane.sh
step "guest images";    hypervisor/guest/build.sh small; hypervisor/guest/build.sh postgresql

step "not run here: make test-slow runs these"
cargo test --quiet --locked --features crash-points --test it -- --list --ignored slow:: | sed -n 's/: test$//p'

# What a test says when it fails is its own sentence; the stack of who called it buries that.
export RUST_BACKTRACE=0
# Most tests wait, for guests, leases and deaths, more than they compute: more of them at once than processors.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(( $(nproc) + 1 ))}
step "tests";           cargo test --locked --features crash-points
