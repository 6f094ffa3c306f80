#!/bin/sh
# Run in a Debian 12 chroot: builds Kubernetes from Debian's source package, without its own makefiles, which compile
# the shared packages twice. Writes the programs to /out and says `step: TEXT` as it goes.
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
echo "step: generating the OpenAPI definitions"
go build -trimpath -o /tmp/openapi-gen ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
tagged=$(grep -rl --include='*.go' '^// +k8s:openapi-gen=' cmd pkg plugin staging/src/k8s.io |
    sed -e 's,/[^/]*$,,' -e '/\/code-generator\//d' -e '/\/sample-apiserver\//d' \
        -e 's,^staging/src/,vendor/,' -e 's,^,k8s.io/kubernetes/,' | LC_ALL=C sort -u | paste -sd,)
/tmp/openapi-gen --logtostderr -i "$tagged" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
    -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r /tmp/violations --output-base "$GOPATH/src"

echo "step: compiling"
flags="-s -w"
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
for package in client-go/pkg/version component-base/version; do
    variable=k8s.io/kubernetes/vendor/k8s.io/$package
    flags="$flags -X $variable.gitVersion=v$version -X $variable.gitMajor=$major -X $variable.gitMinor=$minor"
    flags="$flags -X $variable.gitTreeState=archive -X $variable.buildDate=$date"
done

# Programs that run side by side on a machine become one, which is each of them by the name that it is called by: most of
# their code is the same, and the machine's cable and RAM carry it once. Their own main packages are in it unchanged,
# except that they can be called.
merged() { # NAME PROGRAM...
    one=cmd/$1
    shift
    mkdir "$one"
    {
        echo 'package main'
        echo 'import ("os"; "path/filepath"'
        for program; do echo "\"k8s.io/kubernetes/$one/$(echo "$program" | tr -d -)\""; done
        echo ')'
        echo 'func main() {'
        echo 'switch filepath.Base(os.Args[0]) {'
        for program; do echo "case \"$program\": $(echo "$program" | tr -d -).Main()"; done
        echo 'default: println("call it by one of the names:", "'"$*"'"); os.Exit(2)'
        echo '}}'
    } >"$one/main.go"
    for program; do
        package=$(echo "$program" | tr -d -)
        mkdir "$one/$package"
        for file in "cmd/$program"/*.go; do
            sed -e "s/^package main$/package $package/" -e 's/^func main() {$/func Main() {/' "$file" >"$one/$package/${file##*/}"
        done
    done
}
node='kubelet kube-proxy'
control='kube-apiserver kube-controller-manager kube-scheduler'
merged node $node
merged control-plane $control
# Without the drivers of public clouds and of Docker, which no room has: a third less to compile, and smaller programs.
go build -trimpath -tags providerless,dockerless -ldflags "$flags" -o /out/ ./cmd/kubeadm ./cmd/kubectl ./cmd/node ./cmd/control-plane
for program in $node; do ln /out/node "/out/$program"; done
for program in $control; do ln /out/control-plane "/out/$program"; done
rm /out/node /out/control-plane
go version | cut -d' ' -f3 >/out/go-version
