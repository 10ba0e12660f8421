#!/bin/bash
# Prints where schemathesis is: one pinned version, in an environment of its own in the cache folder, installed once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

version=4.32.5
root=$jiyue_cache/tools/schemathesis-$version
if [[ ! -x $root/bin/schemathesis ]]; then
  # Whole under its name or not at all: a run that is cut off leaves nothing that looks installed.
  half=$root.$$
  trap 'rm -rf "$half"' EXIT
  python3 -m venv --copies "$half"
  "$half/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" >&2
  sed -i "1s|.*|#!$root/bin/python3|" "$half/bin/schemathesis"
  mv "$half" "$root"
fi
echo "$root/bin/schemathesis"
