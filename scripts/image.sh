#!/bin/bash
# The container image of Dockerfile, built without an engine and without a registry: by buildah, in a chroot, on a Debian of
# this machine's release and mirrors.
#
#   image.sh        target/image/jiyue-VERSION.tar, compiled for use: for `docker load`, `ctr images import`, `skopeo copy`
#   image.sh DEB    of a package that is there already: stays in the store, for the tests
#
# prints the file's path, or the store's folder, its driver and the image's name. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

(( EUID == 0 )) || { echo "image: needs root" >&2; exit 1; }
command -v buildah >/dev/null || { echo "image: buildah is missing; run hypervisor/install.sh test" >&2; exit 1; }

# Layers lie over each other where the kernel can do that in this folder; else each is a copy.
probe=$(mktemp -d "${TMPDIR:-/tmp}/jiyue-overlay.XXXXXX")
driver=vfs
store=$jiyue_cache/containers
mkdir -p "$store"
if unshare --mount sh -c "d=\$(mktemp -d '$store/probe.XXXXXX') && mkdir \$d/l \$d/u \$d/w &&
  mount -t overlay -o lowerdir=\$d/l,upperdir=\$d/u,workdir=\$d/w none '$probe'; r=\$?; umount '$probe' 2>/dev/null; rm -rf \"\$d\"; exit \$r" 2>/dev/null; then
  driver=overlay
fi
rmdir "$probe"
store=$store/$driver
buildah() { command buildah --root "$store/root" --runroot "$store/run" --storage-driver "$driver" "$@"; }

tarball=$(hypervisor/chroot/build.sh plain)
key=$(basename "$(dirname "$tarball")")
base=localhost/jiyue-base:$key
work=$(mktemp -d "${TMPDIR:-/tmp}/jiyue-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$store"
# One at a time: what one throws away, another may be about to use.
exec 9> "$store/lock"
flock 9

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
  echo "image: takes $key in, once" >&2
  # Those of earlier bases are of no use any more.
  buildah rmi --all --force >/dev/null 2>&1 || true
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$tarball" / >/dev/null
  buildah commit --quiet --rm "$container" "$base" >/dev/null
fi

bud() { buildah bud --quiet --isolation chroot --pull-never --format docker --build-arg BASE="$base" -f Dockerfile "$@" "$work"; }

if [[ -n ${1:-} ]]; then
  cp --reflink=auto "$1" "$work/jiyue.deb"
  # What does not depend on the package is kept under a name of its own, so that it outlives the image.
  bud --layers --target system -t "localhost/jiyue-system:$key" >/dev/null
  name=localhost/jiyue-test:$(sha256sum "$1" | cut -c1-16)
  # Those of earlier programs go, unless a container of theirs still runs.
  buildah images --filter "reference=localhost/jiyue-test" --format '{{.Name}}:{{.Tag}}' |
    while read -r old; do [[ $old == "$name" ]] || buildah rmi "$old" >/dev/null 2>&1 || true; done
  buildah rmi --prune >/dev/null 2>&1 || true
  bud --layers -t "$name" >/dev/null
  printf '%s\n' "$store" "$driver" "$name"
  exit 0
fi
deb=$(scripts/deb.sh | tail -n 1)
cp --reflink=auto "$deb" "$work/jiyue.deb"
version=$(dpkg-deb -f "$deb" Version)
version=${version%-*}
# Never from the cache: its libraries are as new as the mirrors'.
bud --no-cache -t "localhost/jiyue:$version" >/dev/null
mkdir -p target/image
file=target/image/jiyue-$version.tar
rm -f "$file"
buildah push --quiet "localhost/jiyue:$version" "docker-archive:$file:jiyue:$version" >/dev/null
buildah rmi --force "localhost/jiyue:$version" >/dev/null
echo "$PWD/$file"
