#!/bin/bash
# The speed of reading a report, beside python-docx: one pinned version in an environment of its own in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

version=1.2.0
root=$jiyue_cache/tools/python-docx-$version
if [[ ! -x $root/bin/python ]] || ! "$root/bin/python" -c 'import docx' 2>/dev/null; then
  if python3 -m venv "$root" && "$root/bin/pip" install --quiet "python-docx==$version"; then :; else
    echo "bench-forms: no python-docx (needs python3-venv and a package index); measures only our own" >&2
    rm -rf "$root"
  fi
fi
[[ ! -x $root/bin/python ]] || export PEER_PYTHON=$root/bin/python
exec cargo bench --locked --bench forms "$@"
