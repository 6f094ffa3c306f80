#!/bin/sh
# Run in a Debian 12 chroot: builds Kubernetes' conformance suite and the programs of its images from Debian's source
# package of Kubernetes. Writes them to /out and says `step: TEXT` as it goes.
# Arguments: VERSION MAJOR MINOR; environment: GOPATH, GOCACHE, SOURCE_DATE_EPOCH.
set -eu
version=$1 major=$2 minor=$3
tree=$GOPATH/src/k8s.io/kubernetes
export GO111MODULE=off CGO_ENABLED=0 GOFLAGS=

echo "step: unpacking the source"
mkdir -p "$tree" /out
tar -C "$tree" --strip-components=1 -xzf /src/kubernetes_*.orig.tar.gz
cc -Os -static -s -Wall -Werror -o /out/pause /src/pause.c

# The vendored reflect2 panics at start when built by Go 1.18 or newer; Debian has the release that doesn't.
reflect2=vendor/github.com/modern-go/reflect2
rm -rf "$tree/$reflect2"
cp -rL /usr/share/gocode/src/github.com/modern-go/reflect2 "$tree/$reflect2"

cd "$tree"
echo "step: the suite's own files"
# The list of conformance specs and the manifests that specs apply are compiled in.
go build -trimpath -o /tmp/go-bindata ./vendor/github.com/go-bindata/go-bindata/go-bindata
/tmp/go-bindata -nometadata -o test/e2e/generated/bindata.go -pkg generated \
    -ignore .jpg -ignore .png -ignore .md -ignore 'BUILD(\.bazel)?' \
    test/conformance/testdata/... test/e2e/testing-manifests/... test/e2e_node/testing-manifests/... \
    test/images/... test/fixtures/...

flags="-s -w"
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
for package in client-go/pkg/version component-base/version; do
    variable=k8s.io/kubernetes/vendor/k8s.io/$package
    flags="$flags -X $variable.gitVersion=v$version -X $variable.gitMajor=$major -X $variable.gitMinor=$minor"
    flags="$flags -X $variable.gitTreeState=archive -X $variable.buildDate=$date"
done
# Drivers of public clouds and of simulated nodes that it registers at its start, and no spec of conformance uses: an
# eighth of all packages, the largest among them.
sed -i '/framework\/providers\/\(aws\|azure\|kubemark\|openstack\)"/d' test/e2e/e2e.go
echo "step: compiling the suite"
go test -c -vet=off -trimpath -ldflags "$flags" -o /out/e2e.test ./test/e2e
echo "step: compiling its images' programs"
go build -trimpath -ldflags "$flags" -o /out/ ./test/images/agnhost ./test/images/nonewprivs \
    ./vendor/k8s.io/sample-apiserver
cp test/images/agnhost/porter/localhost.crt test/images/agnhost/porter/localhost.key /out/
go version | cut -d' ' -f3 >/out/go-version
