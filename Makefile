# `make` alone lists the targets. Everything built lies in bin/, everything
# fetched in .cache/, what `make run` records in run/.

PROGRAMS := capture record preview boxd guard tstee mixer-host restream-host
FOLDER_mixer-host := mixer-host
FOLDER_restream-host := restream-host
folder = ./$(or $(FOLDER_$(1)),appliance/$(1))

# What the chain is fed with: pattern, a media file, v4l2:/dev/videoN; deck are
# the project's own slides. Empty: the film and the deck.
CAMERA ?=
SLIDES ?=
PORT_OFFSET ?= 0

# VM=1: the chain's boxes are virtual machines with the box's image.
VM ?=

# Which drills, and how long each in a virtual machine may take.
DRILLS ?= ^TestDrill
DRILLTIME ?= 40m

# Seconds per fuzz target, and where a peer to compare with lies.
FUZZTIME ?= 20s
SPROXY ?=
export SPROXY

# Which card `make flash` writes to, and YES=1: without asking.
DEV ?=
BOX ?= videobox
YES ?=

# The private key that `make bundle` signs with.
KEY ?=

DEMO := bin/demo

.DEFAULT_GOAL := help
.PHONY: help deps deps-test build run image bundle flash vm vm-ready kernel-pc image-pc image-pc-if-cached vm-pc check test lint bench drill fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install what building and running need: Debian packages, hls.js, the film
	@go run ./internal/demo deps

deps-test: ## the same and what the tests need: Chromium, arm64's compilers, QEMU
	@go run ./internal/demo deps --test --image --vm

build: deps ## build the programs into bin/
	@mkdir -p bin
	go build -o bin/ $(foreach p,$(PROGRAMS),$(call folder,$(p)))
	@go build -o $(DEMO) ./internal/demo

run: build $(if $(VM),vm-ready) ## run the whole chain on this machine; CAMERA= SLIDES= PORT_OFFSET= VM=1: boxes in QEMU
	@exec $(DEMO) run --with-parent $(if $(VM),--vm) --camera "$(CAMERA)" --slides "$(SLIDES)" --port-offset $(PORT_OFFSET)

bundle: ## make a signed update of bin/videobox.img: KEY=FILE, BOX=videobox-pc
	@test -n "$(KEY)" || { echo "make bundle KEY=FILE (go run ./images/build key FILE makes one)"; exit 1; }
	@$(MAKE) $(if $(findstring pc,$(BOX)),image-pc,image)
	@go run ./images/build --instance $(BOX) bundle --key $(KEY)

image: ## build the box's image, bin/videobox.img; says how to flash
	@go run ./internal/demo deps --image
	@go run ./images/build image

flash: ## write it to a card: DEV=/dev/sdX; shows what is lost and asks, or YES=1; BOX=videobox-pc
	@test -n "$(DEV)" || { echo "make flash DEV=/dev/sdX (lsblk lists disks)"; exit 1; }
	@$(if $(findstring pc,$(BOX)),$(MAKE) kernel-pc,go run ./internal/demo deps --image)
	@go run ./images/build --instance $(BOX) flash $(if $(YES),--yes) $(DEV)

vm: vm-ready ## boot that image in a virtual machine with an HDMI stick; prints its addresses
	@exec bin/vm

vm-ready:
	@test -e bin/videobox.img || $(MAKE) image
	@go run ./internal/demo deps --vm
	@mkdir -p bin && go build -o bin/vm ./images/vm/run

kernel-pc: ## build the kernel of PC boxes from Debian's source: takes long, then cached
	@go run ./internal/demo deps --pc
	@go run ./images/kernel-pc

image-pc: kernel-pc ## build the image of PC boxes (UEFI), bin/videobox-pc.img
	@go run ./images/build --instance videobox-pc image

# The kernel takes a quarter of an hour to build: on a developer's machine tests
# do without a PC where it isn't cached, in CI never.
image-pc-if-cached:
	@if [ "$(CI)" = true ] || go run ./images/kernel-pc --cached; then $(MAKE) image-pc; \
	else rm -f bin/videobox-pc.img; echo "test: without PC boxes: make kernel-pc (about 15 min, once) adds them"; fi

vm-pc: ## boot that image in a virtual machine with UEFI, a stick and a screen
	@test -e bin/videobox-pc.img || $(MAKE) image-pc
	@go run ./internal/demo deps --pc
	@mkdir -p bin && go build -o bin/vm ./images/vm/run
	@exec bin/vm --pc

lint: ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l .); test -z "$$files" || { echo "$$files"; echo "gofmt would change these"; exit 1; }
	go vet ./...
	go vet -tags vm ./images/vm ./images/fleet ./internal/e2e
	go tool staticcheck ./...
	go tool staticcheck -tags vm ./images/vm ./images/fleet

check: deps lint ## lint and unit tests, in under 4 minutes
	go test -short $$(go list ./... | grep -v /internal/e2e)

test: deps-test build lint image image-pc-if-cached ## all tests: unit, race, the whole chain, the browser, boxes in QEMU
	.ci/test

bench: build ## benchmarks, with exact latency, cost and comparison figures
	go test -run '^$$' -bench . -benchmem ./...
	BENCH=1 go test -count=1 -v -timeout 5m -run 'TestLatency|TestMemory' ./appliance/capture
	BENCH=1 go test -count=1 -v -timeout 30m -run 'TestFilm/^(latency|cost)$$' ./internal/e2e

drill: build image image-pc-if-cached vm-ready ## long runs of what make test does shortly; DRILLS=PATTERN chooses some
	DRILLS='$(DRILLS)' DRILLTIME=$(DRILLTIME) .ci/drill

fuzz: ## run every fuzz target for FUZZTIME
	@for p in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -h '^func Fuzz' $$p/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$p || exit 1; done; done

clean: ## remove what was built, fetched and recorded
	rm -rf bin .cache run
	find restream-host/internal/watch/page/vendor -name '*.js' -delete
