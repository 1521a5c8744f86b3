#!/bin/sh
# Builds the terminal SDK: libposoffline.so with pos_crypto.h and demo.c, for each processor named
# (x86_64, i686, armhf, arm64; all four by default) into build/sdk/PROCESSOR, or into $OUT/PROCESSOR.
#
#   cmd/libposoffline/build.sh armhf
#   CC_armhf=/opt/vendor/bin/arm-linux-gcc cmd/libposoffline/build.sh armhf
#   TAGS=sdktest GOBUILDFLAGS=-race OUT=/tmp/sdk cmd/libposoffline/build.sh x86_64
#
# The result runs on Linux 3.2 and glibc 2.4 (x86_64 and i686: 2.3.2; arm64: 2.17) or later, see
# old_glibc.h; armhf is ARMv7. For another C library give the terminal maker's compiler, as in the
# second line, and ANY_LIBC=1.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$(cd "$here/../.." && pwd)/build/sdk}
go=${GO:-go}

flags="-O2"
link="-Wl,--version-script=$here/libposoffline.map -Wl,-soname,libposoffline.so -Wl,-z,relro,-z,now"
if [ -z "${ANY_LIBC:-}" ]; then
  flags="$flags -include $here/old_glibc.h"
  link="$link -Wl,--no-as-needed -l:libpthread.so.0"
fi

build() {
  if ! command -v "$CC" >/dev/null 2>&1; then
    echo "build.sh: no $CC: apt-get install $package" >&2
    exit 2
  fi
  mkdir -p "$out/$1"
  export CGO_ENABLED=1 GOOS=linux GOARCH CC CGO_CFLAGS="$flags"
  # shellcheck disable=SC2086
  (cd "$here" && "$go" build -buildmode=c-shared -trimpath -buildvcs=false -tags "${TAGS:-}" ${GOBUILDFLAGS:-} \
    -ldflags "-s -w -extldflags '$link'" \
    -o "$out/$1/libposoffline.so" .)
  rm -f "$out/$1/libposoffline.h"
  cp "$here/pos_crypto.h" "$here/demo/demo.c" "$out/$1/"
  echo "$out/$1/libposoffline.so  $(wc -c <"$out/$1/libposoffline.so") bytes"
}

[ $# -gt 0 ] || set -- x86_64 i686 armhf arm64
for processor in "$@"; do
  case $processor in
  x86_64) GOARCH=amd64 CC=${CC_x86_64:-gcc} package="gcc libc6-dev" ;;
  i686) GOARCH=386 CC=${CC_i686:-i686-linux-gnu-gcc} package="gcc-i686-linux-gnu libc6-dev-i386-cross" ;;
  armhf) GOARCH=arm CC=${CC_armhf:-arm-linux-gnueabihf-gcc} package="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross" ;;
  arm64) GOARCH=arm64 CC=${CC_arm64:-aarch64-linux-gnu-gcc} package="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
  *) echo "build.sh: $processor is none of x86_64, i686, armhf, arm64" >&2 && exit 2 ;;
  esac
  [ "$processor" != armhf ] || export GOARM=7
  build "$processor"
done
