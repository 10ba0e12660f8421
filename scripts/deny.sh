#!/bin/bash
# Licences, sources and bans of all dependencies, as deny.toml says. cargo-deny itself is built once per version and kept
# in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

version=0.20.2
root=$jiyue_cache/tools/cargo-deny-$version
if [[ ! -x $root/bin/cargo-deny ]]; then
  echo "deny: builds cargo-deny $version, once (some minutes)" >&2
  # Its speed does not matter and its build time does. A clone's settings are none of its business.
  env -u CARGO_TARGET_DIR -u RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
    cargo install cargo-deny --quiet --locked --version "$version" --root "$root"
fi
exec "$root/bin/cargo-deny" --locked --all-features check --hide-inclusion-graph "$@" licenses sources bans
