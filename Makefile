# make test installs what the tests need (Debian packages, as root or through sudo) and runs everything.

GO ?= go
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Programs that the tests run, and the Debian package of each.
TOOLS := openssl:openssl zbarimg:zbar-tools ZXingReader:zxing-cpp-tools qrencode:qrencode age:age \
         gcc:gcc node:nodejs npm:npm qemu-aarch64:qemu-user curl:curl espeak-ng:espeak-ng aplay:alsa-utils g++:g++ nm:binutils chromium:chromium patroni:patroni etcd:etcd-server

# Debian packages of the SDK's cross compilers (glibc headers are only recommended by them).
SDK_PACKAGES := gcc-i686-linux-gnu libc6-dev-i386-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross \
                gcc-aarch64-linux-gnu libc6-dev-arm64-cross

NODE_TESTS := edge/gateway/testdata/node

.PHONY: test tools sdk sdk-tools vet unit foreign fuzz bench bench-peers bench-gateway bench-settle failover dudect torture demo soak generate

test: tools sdk-tools vet unit foreign

tools:
	@missing=; for tool in $(TOOLS); do \
	  command -v $${tool%%:*} >/dev/null 2>&1 || missing="$$missing $${tool##*:}"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; \
	  $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi
	@dpkg-query -W postgresql >/dev/null 2>&1 || { $(SUDO) apt-get update -q && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql; }
	@[ -d $(NODE_TESTS)/node_modules/ajv ] || npm ci --no-audit --no-fund --prefix $(NODE_TESTS)

vet:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	$(GO) vet ./...
	CGO_ENABLED=0 $(GO) build ./...

unit:
	$(GO) test -timeout 15m ./...

# The curves on the other processors that terminals have, under emulation.
foreign:
	GOARCH=arm64 CGO_ENABLED=0 $(GO) test -exec qemu-aarch64 ./curve/...
	GOARCH=arm CGO_ENABLED=0 $(GO) test -exec qemu-arm ./curve/...
	GOARCH=386 CGO_ENABLED=0 $(GO) test ./curve/...

# Each fuzz target so many times: make fuzz FUZZTIME=1000000x. A count, for a target that is stopped by the clock
# is sometimes reported as failed by it.
FUZZTIME ?= 20000x
fuzz:
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep ^Fuzz); do \
	    echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; done

# The terminal SDK for four processors, into build/sdk/PROCESSOR: libposoffline.so, pos_crypto.h, demo.c
sdk: sdk-tools
	cmd/libposoffline/build.sh

sdk-tools:
	@dpkg-query -W $(SDK_PACKAGES) >/dev/null 2>&1 || { $(SUDO) apt-get update -q && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(SDK_PACKAGES); }

# Ours beside OpenSSL and libsecp256k1, in one interleaved run.
bench-peers:
	@for header in openssl/ec.h secp256k1.h; do echo "#include <$$header>" | gcc -E - >/dev/null 2>&1 || missing=1; done; \
	[ -z "$$missing" ] || { $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q libssl-dev libsecp256k1-dev; }
	$(GO) run -tags peers ./tools/bench-peers -rounds 21

# Whether signing takes a time that depends on its secrets: a million samples a class, some minutes.
dudect:
	$(GO) test -tags dudect -run TestDudect -timeout 0 -v ./curve/secp192k1 ./curve/secp256k1

generate:
	$(GO) generate ./curve/...

bench:
	$(GO) test -run '^$$' -bench 'Accept|Present|Update|Append|CCall' -benchmem ./role/... ./edge/... ./cmd/...

# The gateway under load, beside a bare handler that only verifies and signs, in one interleaved run.
bench-gateway:
	$(GO) test -run '^$$' -bench Load -benchtime 1x ./edge/gateway

# Settlement beside PostgreSQL's own pgbench, in one run on one server: the table of docs/BENCHMARKS.md.
bench-settle:
	$(GO) run ./tools/bench-settle

# Three machines under Patroni; the one that leads is killed under load, twenty times.
failover:
	$(GO) test -run TestLeaderKilled -timeout 30m -v ./edge/store/postgres -failovers 20

# Our reader of QR codes beside zbar and ZXing, on 150 bad pictures.
torture:
	$(GO) run ./tools/torture

# Half an hour of a city in a box: whether the rate and the memory stay as they are is told in the end.
soak:
	$(GO) run ./cmd/shuama simulate --riders 5000 --gates 100 --power-cut 0.0005 --lasts 30m

demo:
	$(GO) run ./cmd/shuama demo
