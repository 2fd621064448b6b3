VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 20s

.PHONY: build test race fuzz bench lint

build: ## bin/msgserver
	go build -ldflags "-X main.version=$(VERSION)" -o bin/msgserver ./cmd/msgserver

test: ## everything, offline
	go test ./...

race: ## everything with the race detector
	go test -race ./...

# One after the other: go runs one fuzz target at a time.
fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

bench: ## the benchmarks; BENCH=regexp chooses
	go test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -timeout 30m ./...

lint: ## formatting, vet, static checks
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
