# shellcheck shell=bash
# Sourced by the scripts that build images. Built images are kept in the cache folder
# (JIYUE_CACHE, else XDG_CACHE_HOME/jiyue, else ~/.cache/jiyue), each under a key of
# its sources and of the packages that count, and come into being there whole or not
# at all, also when two builds run at the same time.
#
# The script sets before:  label (for its messages), image (the file's name), kind (of
#                          image, the key's beginning), here (its folder)
# and finds after:         work, a folder that goes away with the script
# shellcheck disable=SC2154

PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

say() { printf '%s: %s\n' "$label" "$*" >&2; }
die() { say "$*"; exit 1; }

[[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]] || die "needs Debian on amd64"

# need GROUP TOOL...: the tools that this group of install.sh brings.
need() {
  local tool group=$1; shift
  for tool; do
    command -v "$tool" >/dev/null || die "$tool is missing; run hypervisor/install.sh $group"
  done
}

work=$(mktemp -d "${TMPDIR:-/tmp}/jiyue-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'say "failed in line $LINENO"' ERR

base=${JIYUE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/jiyue}
mkdir -p "$base"

# Containers often tell apt to keep no index of its lists; then every question
# costs seconds. The index lives as long as this build.
apt_index=(-o "Dir::Cache::pkgcache=$work/pkgcache.bin" -o "Dir::Cache::srcpkgcache=$work/srcpkgcache.bin")
ask_apt() { apt-cache "${apt_index[@]}" "$@"; }

# The name and version of a package; of the first that it depends on with such a
# name, where a pattern is given: linux-image-cloud-amd64 and postgresql only point
# at the ones whose names carry their versions.
find_package() {
  local name=$1
  if [[ -n ${2:-} ]]; then
    name=$(ask_apt depends "$1" 2>/dev/null | awk -v name="$2" '$1 == "Depends:" && $2 ~ name { print $2; exit }') || true
  fi
  ask_apt show --no-all-versions "${name:-none}" 2>/dev/null |
    awk -v name="$name" '$1 == "Version:" { print name, $2; found = 1; exit } END { exit !found }'
}

# The lines that find_packages, the script's own, prints: asked once, and remembered
# in the file $packages until apt's lists change.
remember_packages() {
  local lists
  lists=$(stat -c '%n %s %Y' /var/lib/apt/lists /var/lib/apt/lists/*_Packages* 2>/dev/null | sha256sum | cut -c1-16) || true
  packages=$base/packages-$kind-$lists
  [[ ! -s $packages ]] || return 0
  if ! find_packages > "$work/found"; then
    (( EUID == 0 )) || die "apt does not know all the packages; run apt-get update as root"
    apt-get -qq update >&2
    find_packages > "$work/found" || die "apt does not know all the packages"
  fi
  cp "$work/found" "$packages.$$" && mv -f "$packages.$$" "$packages"
}

# find_image SOURCE...: where the image is or will be, by the files and folders that
# it is made of. When it is there, delivers it and ends the script.
find_image() {
  local key
  key=$({ cat "$packages"
    cd "$here" || exit
    find "$@" ../image.sh -printf '%p %m %y\n' | sort
    find "$@" ../image.sh -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum | cut -c1-16)
  cache=$base/$kind-$key
  if [[ -s $cache/$image ]]; then deliver; exit; fi
  say "building with $(paste -sd, "$packages" | sed 's/,/, /g')"
  SECONDS=0
}

# Prints the image's path; where there is an $outdir, of a copy there.
deliver() {
  local fresh
  if [[ -z ${outdir:-} ]]; then echo "$cache/$image"; return; fi
  mkdir -p "$outdir"
  # Running overlays hold their base open: an equal file is left alone, another
  # one is put in its place by a rename, never written into.
  if ! cmp -s "$cache/$image" "$outdir/$image"; then
    fresh=$(mktemp "$outdir/.$image.XXXXXX")
    cp --reflink=auto "$cache/$image" "$fresh"
    chmod 0444 "$fresh"
    mv -f "$fresh" "$outdir/$image"
  fi
  echo "$(cd "$outdir" && pwd)/$image"
}

# publish RAW: the finished disk into the cache, and delivered.
publish() {
  local fresh
  mkdir -p "$cache"
  fresh=$(mktemp "$cache/.$image.XXXXXX")
  qemu-img convert -f raw -O qcow2 -c "$1" "$fresh"
  chmod 0444 "$fresh"
  mv -f "$fresh" "$cache/$image"
  say "built in $SECONDS s, $(( $(stat -c %s "$cache/$image") / 1000000 )) MB"
  deliver
}
