#!/bin/bash
# The Kubernetes control plane that tests start: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl,
# built once per version from their released Go modules and kept in the cache folder. Prints that folder.
#
# KUBEBUILDER_ASSETS, where set, is taken instead: the convention for binaries that are there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh

modules=tests/control-plane
programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)

complete() { local p; for p in "${programs[@]}"; do [[ -x $1/$p ]] || return 1; done; }

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  complete "$KUBEBUILDER_ASSETS" || { echo "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks one of: ${programs[*]}" >&2; exit 1; }
  echo "$KUBEBUILDER_ASSETS"
  exit 0
fi

# What is built is said by the two files of the module, whatever the clone.
version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\).*/\1/p' "$modules/go.mod")
folder=$jiyue_cache/tools/control-plane-$version-$(sha256sum "$modules/go.mod" "$modules/go.sum" | sha256sum | cut -c1-12)
if complete "$folder"; then
  echo "$folder"
  exit 0
fi

PATH=$PATH:/usr/local/go/bin:/usr/lib/go-1.24/bin:/usr/lib/go-1.23/bin
command -v go >/dev/null || { echo "Go 1.23 or newer is needed, once: install it, or set KUBEBUILDER_ASSETS" >&2; exit 1; }
echo "builds the Kubernetes control plane $version, once (some ten minutes)" >&2
mkdir -p "$folder.new"
stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=${version:1:1}"
stamp="$stamp -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version") -X k8s.io/client-go/pkg/version.gitVersion=$version"
build() { (cd "$modules" && CGO_ENABLED=0 GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false go build -trimpath -ldflags "-s -w $stamp" -o "$1" "$2"); }
for program in "${programs[@]:1}"; do build "$folder.new/$program" "k8s.io/kubernetes/cmd/$program"; done
build "$folder.new/etcd" go.etcd.io/etcd/server/v3
# Two that build at once: the first one's stays.
mv -T "$folder.new" "$folder" 2>/dev/null || rm -rf "$folder.new"
complete "$folder"
echo "$folder"
