#!/bin/bash
# The Debian package:
#
#   deb.sh              target/debian/jiyue_VERSION_amd64.deb, compiled for use
#   deb.sh PROGRAM DIR  in DIR, of a program that is compiled already: for the tests
#   deb.sh tools        nothing yet, but what makes it is there afterwards
#
# prints its path. cargo-deb itself is built once per version and kept in the cache folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

cargo_tool cargo-deb 3.8.0
command -v dpkg-shlibdeps >/dev/null || { echo "deb: dpkg-dev is missing; run hypervisor/install.sh test" >&2; exit 1; }

[[ ${1:-} != tools ]] || exit 0
program=${1:-}
if [[ -z $program ]]; then
  cargo build --locked --release --quiet
  program=${CARGO_TARGET_DIR:-target}/release/jiyue
fi

# What the program says of itself; two packages at once would take it from under each other.
assets=target/assets
mkdir -p target
exec 8>target/assets.lock
flock 8
rm -rf "$assets"
mkdir -p "$assets/usr/share/doc/jiyue"
cp README.md "$assets/usr/share/doc/jiyue/"
completion() {
  mkdir -p "$assets/$(dirname "$2")"
  "$program" completion "$1" > "$assets/$2"
}
completion bash usr/share/bash-completion/completions/jiyue
completion zsh usr/share/zsh/vendor-completions/_jiyue
completion fish usr/share/fish/vendor_completions.d/jiyue.fish
mkdir -p "$assets/usr/share/man/man1"
"$program" man --to "$assets/usr/share/man/man1" >/dev/null

if [[ -n ${1:-} ]]; then
  exec "$root/bin/cargo-deb" --quiet --locked --offline --no-build --profile dev --fast --output "$2"
fi
exec "$root/bin/cargo-deb" --quiet --locked --no-build
