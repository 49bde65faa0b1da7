# Everything that is built or fetched lies in one folder, shared by all clones on this machine.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/centinel
export CARGO_TARGET_DIR ?= $(CACHE)/target
# Where .ci/setup puts cargo on a machine that has none.
export PATH := $(PATH):$(HOME)/.cargo/bin

CENTINEL := cargo run --quiet --release --locked --bin centinel --
# Without the breaker's, which bench-breaker runs.
SPEEDS := $(filter-out cache_speed, \
	$(basename $(notdir $(wildcard */examples/*_speed.rs */*/examples/*_speed.rs))))

# The benches compare with DuckDB, which is a Python package.
DUCKDB_VERSION := 2.0.0
export BENCH_PYTHON := $(CACHE)/python-$(DUCKDB_VERSION)/bin/python3
ORDERS := 1000000

.DEFAULT_GOAL := help
.PHONY: help setup setup-servers build run test screenshots check bench bench-stages bench-detection bench-audit bench-repair bench-kafka bench-backlog bench-latency bench-breaker bench-breaker-latency

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-21s %s\n", $$1, $$2 }' Makefile

setup: ## Install what a build needs and this machine lacks
	@.ci/setup

setup-servers: ## Install the servers that tests run and this machine lacks
	@.ci/setup-servers

run: setup ## Watch a simulated payment platform and show the losses in it
	cargo run --release --locked --bin centinel -- run

build: setup ## Build the programs and put them into .bin
	cargo build --release --locked --bin centinel --bin simulate
	@mkdir -p .bin && cp -f "$$CARGO_TARGET_DIR"/release/centinel "$$CARGO_TARGET_DIR"/release/simulate .bin/
	@echo 'export PATH="$$PWD/.bin:$$PATH"   # to call them by name'

test: setup setup-servers ## Run all tests, those with real servers included
	cargo test --release --locked --workspace

screenshots: setup setup-servers ## Take the README's pictures of the console anew, by the test that walks through it
	CENTINEL_SCREENSHOTS=pipeline/console/screenshots cargo test --release --locked --workspace --test see_it

# Clippy cannot use compiled dependencies: it reads their sources in a pass of its own, once, 3 minutes on 2 cores.
check: setup ## Check the format, the code, the rules and the rules' tests
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(CENTINEL) rules check
	$(CENTINEL) rules test
	$(CENTINEL) rules check --rules sql-rules/quality
	$(CENTINEL) rules test --rules sql-rules/quality

bench: bench-stages bench-detection bench-audit bench-repair bench-kafka bench-latency bench-breaker bench-breaker-latency ## Measure all speeds on this machine

bench-stages: setup ## Measure decoding, batching and each rule by itself
	@for speed in $(SPEEDS); do \
		echo "== $$speed"; cargo run --quiet --release --locked --example $$speed || exit; done

bench-detection: setup ## Measure detection, at first and with ten times the state
	cargo run --release --locked --bin bench_detection

bench-repair: setup ## Measure the dry run of a repair; ORDERS=10000000 for the figures of README.md
	cargo run --release --locked --bin bench_repair -- $(ORDERS)

bench-kafka: setup setup-servers ## Measure detection from a real Kafka on this machine
	cargo run --release --locked --bin bench_kafka

bench-backlog: setup setup-servers ## Show how much memory detection holds while it reads a long backlog
	cargo run --release --locked --bin bench_kafka backlog 400000

bench-latency: setup setup-servers ## Measure the time from a commit in a real MariaDB to a confirmed finding
	cargo run --release --locked --bin bench_latency

bench-breaker: setup ## Measure the circuit breaker's checks with wrk, alone and beside busy cores, and through its client's cache
	@.ci/setup-load
	cargo build --release --locked --bin breaker_serve --bin bench_breaker --example cache_speed
	"$$CARGO_TARGET_DIR"/release/bench_breaker
	"$$CARGO_TARGET_DIR"/release/examples/cache_speed

bench-breaker-latency: setup setup-servers ## Measure the time from a commit in a real MariaDB to a held check
	cargo build --release --locked --bin centinel
	cargo run --release --locked --bin bench_breaker_latency

bench-audit: build $(BENCH_PYTHON) ## Measure audits beside DuckDB; ORDERS=10000000 for the figures of README.md
	$(BENCH_PYTHON) tests/benches/audit.py --orders $(ORDERS) --centinel .bin/centinel --simulate .bin/simulate

$(BENCH_PYTHON):
	python3 -m venv $(CACHE)/python-$(DUCKDB_VERSION).new
	$(CACHE)/python-$(DUCKDB_VERSION).new/bin/pip install --quiet duckdb==$(DUCKDB_VERSION)
	mv $(CACHE)/python-$(DUCKDB_VERSION).new $(CACHE)/python-$(DUCKDB_VERSION)
