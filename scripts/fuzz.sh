#!/bin/bash
# Invented input for everything that reads what people send: each target for FUZZ_SECONDS (60), or only those named. What
# the fuzzer learns is kept in the cache folder and used again; fuzz/corpus has the seeds. A crash is left in
# fuzz/artifacts and ends the run. cargo-fuzz itself is built once per version and kept in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

seconds=${FUZZ_SECONDS:-60}
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "fuzz: needs a nightly compiler: rustup toolchain install nightly --profile minimal" >&2
  exit 1
fi
cargo_tool cargo-fuzz 0.13.2

PATH=$root/bin:$PATH
# The broker's target folder is built by another compiler with other flags.
unset CARGO_TARGET_DIR
targets=("$@")
(( ${#targets[@]} )) || targets=(quantity docx xlsx yaml)
for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  learnt=$jiyue_cache/fuzz/$target
  mkdir -p "$learnt"
  # Beyond some seconds or a GiB for one small input, something is wrong as well.
  if ! cargo +nightly --quiet fuzz run --sanitizer none "$target" "$learnt" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=8192 -dict=fuzz/forms.dict \
    -print_final_stats=1 -verbosity=1 >"$learnt.log" 2>&1; then
    tail -n 60 "$learnt.log" >&2
    echo "fuzz: $target failed; the whole log is $learnt.log" >&2
    exit 1
  fi
  grep -E '^(stat::|Done)' "$learnt.log"
done
