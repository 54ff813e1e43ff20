# tdkvs: `make` lists the targets. Everything that a build makes goes to ./bin
# and ./.cache; nothing outside this folder is written, except by `tools`, which
# installs system packages.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# Go may be installed without being on PATH, as on a fresh machine.
export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED ?= 1

BIN     := bin/tdkvs
LISTEN  ?= 127.0.0.1:3000
DATA    ?= ./data

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

GOLANGCI_VERSION    := v2.15.0
GOLANGCI            := .cache/bin/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK_VERSION := v1.9.0

# Every package but the black-box tests, which need the binary and real clients.
UNIT_PACKAGES = $$(go list ./... | grep -v '/compat-tests')
TESTFLAGS ?=

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build bin/tdkvs, a static binary stamped with its version
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/tdkvs

.PHONY: run
run: build ## build, start a store on ./data and print how to use it (LISTEN=, DATA=)
	@exec $(BIN) server -listen $(LISTEN) $(DATA)

.PHONY: test
test: tools lint race faults model compat ## everything that must pass: lint, unit tests under the race detector, faults of every kind, the listing model, real clients

.PHONY: lint
lint: $(GOLANGCI) ## gofmt, go vet and golangci-lint
	@unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...)); \
	if [ -n "$$unformatted" ]; then echo "gofmt these files (make fmt):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(GOLANGCI) run ./...

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(go list -f '{{.Dir}}' ./...)

.PHONY: unit
unit: ## unit tests, quickly (no race detector)
	go test $(TESTFLAGS) $(UNIT_PACKAGES)

# Thousands of faults, one after the other: the race detector has nothing to find in them, and makes them take minutes.
FAULT_TESTS := ^(TestFaultMatrix|TestPowerCuts|TestFlippedReads|TestLostCalls|TestMutations)$$

.PHONY: race
race: ## unit tests under the race detector (needs a C compiler)
	go test -race -timeout 10m -skip '$(FAULT_TESTS)' $(TESTFLAGS) $(UNIT_PACKAGES)

.PHONY: faults
faults: ## every fault at every system call of a volume, and mistakes made on purpose
	go test -count=1 -timeout 10m -run '$(FAULT_TESTS)' $(TESTFLAGS) ./volume

.PHONY: model
model: ## listings, and whole stores, against their models (TDKVS_MODEL_CASES=100000 TDKVS_MODEL_STREAMS=4, TDKVS_SEED=)
	TDKVS_MODEL_CASES=$${TDKVS_MODEL_CASES:-100000} go test -count=1 -timeout 10m -run ListingModel $(TESTFLAGS) ./master ./s3api
	TDKVS_MODEL_STREAMS=$${TDKVS_MODEL_STREAMS:-4} go test -count=1 -timeout 120m -run StoreModel -v $(TESTFLAGS) ./gateway/modeltest

# Much of what they take is waiting, for clients in other languages and for what goes on in the background.
COMPAT_PARALLEL ?= 3

.PHONY: compat
compat: build ## black-box tests of the binary with real clients
	TDKVS_BINARY=$(CURDIR)/$(BIN) go test -count=1 -timeout 15m -parallel $(COMPAT_PARALLEL) $(TESTFLAGS) ./compat-tests/...

.PHONY: fixture
fixture: build ## keep a store of today's formats, which every later build must open (TDKVS_FIXTURE=2: its name)
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_FIXTURE=$${TDKVS_FIXTURE:?a name, such as the next number} \
		go test -count=1 -run 'FixtureOfThisBuild|VolumeFixtures' -v $(TESTFLAGS) ./compat-tests ./volume

.PHONY: crash
crash: build ## long crash tests: faults and power cuts of a volume, mutations, SIGKILL under writes and changes, and at each failpoint (TDKVS_FAULT_SEEDS=10 TDKVS_CRASH_ROUNDS=100 TDKVS_CHANGE_KILLS=50 TDKVS_FAILPOINT_KILLS=4)
	TDKVS_FAULT_SEEDS=$${TDKVS_FAULT_SEEDS:-10} TDKVS_CRASH_SEEDS=$${TDKVS_CRASH_SEEDS:-100} TDKVS_MODEL_SEEDS=$${TDKVS_MODEL_SEEDS:-500} TDKVS_MUTATIONS=all \
		go test -count=1 -timeout 60m -run 'FaultMatrix|PowerCuts|FlippedReads|LostCalls|Mutations|Crash|Model|Killed' -v $(TESTFLAGS) ./volume
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_CRASH_ROUNDS=$${TDKVS_CRASH_ROUNDS:-100} TDKVS_CHANGE_KILLS=$${TDKVS_CHANGE_KILLS:-50} TDKVS_FULL_DISKS=5 \
		TDKVS_FAILPOINT_KILLS=$${TDKVS_FAILPOINT_KILLS:-4} \
		go test -count=1 -timeout 120m -run 'Crash|KilledWhile|FullDisk|Failpoints' -v $(TESTFLAGS) ./compat-tests/...

.PHONY: recover
recover: build ## the metadata is deleted under load, again and again, and made anew; figures of a large store (TDKVS_RECOVER_MOMENTS=20 TDKVS_RECOVER_OBJECTS=1000000)
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_RECOVER_MOMENTS=$${TDKVS_RECOVER_MOMENTS:-20} TDKVS_RECOVER_OBJECTS=$${TDKVS_RECOVER_OBJECTS:-1000000} \
		go test -count=1 -timeout 120m -run 'MetadataLost|Recover' -v $(TESTFLAGS) ./compat-tests

.PHONY: powercut
powercut: build ## long power-cut test: disks that a cut may leave, by recording every write (TDKVS_POWER_CUTS=500 TDKVS_POWER_SECONDS=15; needs root)
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_POWER_CUTS=$${TDKVS_POWER_CUTS:-500} TDKVS_POWER_SECONDS=$${TDKVS_POWER_SECONDS:-15} \
		go test -count=1 -timeout 120m -run PowerCut -v $(TESTFLAGS) ./compat-tests

.PHONY: linear
linear: build ## long linearizability tests: contending clients, SIGKILL and faults of every kind (TDKVS_LINEAR_ROUNDS=50 TDKVS_FAULT_CONTESTS=125 TDKVS_FAULT_STEPS=250)
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_LINEAR_ROUNDS=$${TDKVS_LINEAR_ROUNDS:-50} \
		TDKVS_FAULT_CONTESTS=$${TDKVS_FAULT_CONTESTS:-125} TDKVS_FAULT_STEPS=$${TDKVS_FAULT_STEPS:-250} \
		go test -count=1 -timeout 180m -run Linearity -v $(TESTFLAGS) ./compat-tests/...

.PHONY: grow
grow: build ## volumes come, go and fail under load; rebalance, timed (TDKVS_GROW_OBJECTS=100000)
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_GROW_OBJECTS=$${TDKVS_GROW_OBJECTS:-100000} TDKVS_HEAL_OBJECTS=$${TDKVS_HEAL_OBJECTS:-1000} \
		TDKVS_CODED_OBJECTS=$${TDKVS_CODED_OBJECTS:-20} TDKVS_MOVE_MIB=$${TDKVS_MOVE_MIB:-256} TDKVS_YIELD_MIB=$${TDKVS_YIELD_MIB:-512} \
		go test -count=1 -timeout 120m -run 'UnderLoad|FlippedCopies|CodedLoss|RebalanceSpeed|ForegroundDuring' -parallel 1 -v $(TESTFLAGS) ./compat-tests

.PHONY: scale
scale: build ## a store is filled with small objects: rates, pages, starts and memory at a tenth, half and all of them (TDKVS_FILLING_OBJECTS=10000000)
	TDKVS_BINARY=$(CURDIR)/$(BIN) TDKVS_FILLING_OBJECTS=$${TDKVS_FILLING_OBJECTS:-10000000} \
		go test -count=1 -timeout 180m -run FillingStore -v $(TESTFLAGS) ./compat-tests

# The output is what benchstat reads. To compare two states of the code: make bench COUNT=10 >old.txt in the one,
# >new.txt in the other, and benchstat old.txt new.txt. BENCH chooses by name: make bench BENCH='Pipeline|Verify'.
BENCH ?= .
COUNT ?= 1
.PHONY: bench
bench: build ## benchmarks of every package, and of the binary with 32 clients (BENCH=regexp COUNT=10 for benchstat)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 $(TESTFLAGS) $(UNIT_PACKAGES)
	TDKVS_BINARY=$(CURDIR)/$(BIN) go test -run '^$$' -bench '$(BENCH)' -skip LibraryRatio -benchtime 20000x -count $(COUNT) -timeout 0 $(TESTFLAGS) ./compat-tests

.PHONY: ratio
ratio: build ## the store beside a server that stores nothing, by minio-go, in turns (COUNT=5 rounds)
	TDKVS_BINARY=$(CURDIR)/$(BIN) go test -run '^$$' -bench LibraryRatio -benchtime $(COUNT)x -timeout 0 $(TESTFLAGS) ./compat-tests

FUZZTIME ?= 10s
FUZZ_CORPUS = testdata/fuzz-corpus.tar.gz
.PHONY: fuzz fuzz-corpus
fuzz: ## run every fuzz target for FUZZTIME (10s), beginning with the inputs that earlier runs found of interest
	mkdir -p "$$(go env GOCACHE)/fuzz" && tar xzf $(FUZZ_CORPUS) -C "$$(go env GOCACHE)/fuzz"
	@for pkg in $(UNIT_PACKAGES); do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$pkg"; \
		done; \
	done

fuzz-corpus: ## keep the inputs that fuzzing on this machine has found of interest
	tar --sort=name --mtime=2026-01-01 --owner=0 --group=0 --numeric-owner -C "$$(go env GOCACHE)/fuzz" -cf - tdkvs | gzip -9n >$(FUZZ_CORPUS)

.PHONY: vuln
vuln: ## known vulnerabilities in what we use (asks vuln.go.dev)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

.PHONY: docs
docs: ## regenerate docs/s3-compatibility.md and the tables of settings and metrics from the code
	go test -count=1 ./s3api -run CompatibilityPage -update
	go test -count=1 ./cmd/tdkvs -run TestSettingsDocumented -update
	go test -count=1 ./gateway/metrics -update

.PHONY: tools
tools: ## install what the tests need and this machine lacks
	@./compat-tests/install-tools.sh
	@command -v cc >/dev/null || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends gcc libc6-dev; }

.PHONY: clean
clean: ## remove what was built (not ./data)
	rm -rf bin .cache

# The linter is built from source by version, once: some three minutes on two
# cores, then from the build cache.
$(GOLANGCI):
	@mkdir -p .cache/bin
	GOFLAGS= GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv .cache/bin/golangci-lint $@
