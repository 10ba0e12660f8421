# shellcheck shell=bash
# Sourced by the scripts beside it: a shell that has little of its own (CI, sudo, cron) still finds the tools.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:/usr/sbin:/sbin

# File names are Chinese here, whatever shell this is.
export LANG=${LANG:-C.UTF-8}

# Some programs insist on a home that exists and can be written to: the account's, else one that is only ours.
usable() { [[ -n $1 && -d $1 && -w $1 ]]; }
if ! usable "${HOME:-}"; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6) || true
  usable "$HOME" || HOME=$(mktemp -d "${TMPDIR:-/tmp}/jiyue-home.XXXXXX")
  export HOME
fi

# Where things are kept that are dear to make and belong to no clone: the guest image, tools.
jiyue_cache=${JIYUE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jiyue}

# Rust is often in one account's home only: this one's, or that of the person behind sudo, or root's.
find_cargo() {
  # One that is there and finds its toolchain: with another home (sudo, CI) rustup's does not.
  cargo --version >/dev/null 2>&1 && return
  local account home
  for account in "$(id -un)" "${SUDO_USER:-}" root; do
    home=$(getent passwd "${account:-root}" | cut -d: -f6)
    if [[ -x ${CARGO_HOME:-$home/.cargo}/bin/cargo ]]; then
      PATH=${CARGO_HOME:-$home/.cargo}/bin:$PATH
      export CARGO_HOME=${CARGO_HOME:-$home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup}
      return
    fi
  done
  echo "找不到 cargo：先装 Rust 工具链（https://rustup.rs），再开一个新的终端" >&2
  return 1
}
find_cargo || exit 1
export PATH

# A cargo tool of one version, for `$root/bin/NAME`: built once and kept in the cache folder.
cargo_tool() {
  local name=$1 version=$2
  root=$jiyue_cache/tools/$name-$version
  [[ ! -x $root/bin/$name ]] || return 0
  echo "builds $name $version, once (some minutes)" >&2
  # Its speed does not matter and its build time does. A clone's settings are none of its business.
  env -u CARGO_TARGET_DIR -u RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
    cargo install "$name" --quiet --locked --version "$version" --root "$root"
}
