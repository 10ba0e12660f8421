#!/bin/bash
# Licences, sources and bans of all dependencies, as deny.toml says. cargo-deny itself is built once per version and kept
# in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

cargo_tool cargo-deny 0.20.2
exec "$root/bin/cargo-deny" --locked --all-features check --hide-inclusion-graph "$@" licenses sources bans
