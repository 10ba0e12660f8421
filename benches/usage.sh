#!/bin/bash
# Usage: import beside VictoriaMetrics (Debian's package), report beside DuckDB (one pinned version in an environment of its own
# in the cache folder). MACHINES= and DAYS= for less.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

if ! command -v victoria-metrics >/dev/null; then
  if apt-get install -y --no-install-recommends victoria-metrics >/dev/null; then :; else
    echo "bench-usage: no victoria-metrics (needs root and a package index); measures only our own" >&2
  fi
fi
version=2.0.1
root=$jiyue_cache/tools/duckdb-$version
if [[ ! -x $root/bin/python ]] || ! "$root/bin/python" -c 'import duckdb' 2>/dev/null; then
  if python3 -m venv "$root" && "$root/bin/pip" install --quiet "duckdb==$version"; then :; else
    echo "bench-usage: no DuckDB (needs python3-venv and a package index); measures only our own" >&2
    rm -rf "$root"
  fi
fi
[[ ! -x $root/bin/python ]] || export PEER_PYTHON=$root/bin/python
export BENCH_FOLDER=${BENCH_FOLDER:-$jiyue_cache/bench-usage}
mkdir -p "$BENCH_FOLDER"
exec cargo bench --locked --bench usage "$@"
