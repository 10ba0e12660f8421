#!/bin/bash
# Prints the folder in which Node finds what drives the browser (Debian's chromium): pinned versions, in the cache folder,
# installed once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

playwright=1.65.1
axe=4.14.1
root=$jiyue_cache/tools/browser-$playwright-$axe
if [[ ! -d $root/node_modules ]]; then
  # Whole under its name or not at all.
  half=$root.$$
  trap 'rm -rf "$half"' EXIT
  mkdir -p "$half"
  # Nothing of what is installed is run by that, and no browser is fetched.
  (cd "$half" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error \
    "playwright-core@$playwright" "axe-core@$axe") >&2
  mv "$half" "$root"
fi
echo "$root/node_modules"
