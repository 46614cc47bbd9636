# What CI runs and what a newcomer runs are the same targets.
PYTHON ?= python3
PORT ?= 8000
# For CPU-only torch wheels from PyTorch's own index: make test TORCH_INDEX_URL=<that index>
TORCH_INDEX_URL ?=

PIP_OPTIONS := --quiet --disable-pip-version-check --constraint constraints.txt $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))
SERVE := .venv-serve
DEV := .venv

.PHONY: serve test test-all check format evaluate train bench bench-serving bench-mixed clean

$(SERVE)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVE)
	$(SERVE)/bin/python -m pip install $(PIP_OPTIONS) --editable .
	touch $@

$(DEV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install $(PIP_OPTIONS) --editable ".[train,dev,tables]"
	touch $@

serve: $(SERVE)/ready ## set up and start the service on PORT
	$(SERVE)/bin/fankui serve --port $(PORT)

test: $(DEV)/ready ## set up and run the tests
	$(DEV)/bin/python -m pytest -m "not slow"

test-all: $(DEV)/ready ## the slow tests, with a Ray cluster of two nodes
	$(DEV)/bin/python -m pip install $(PIP_OPTIONS) --editable ".[ray]"
	$(DEV)/bin/python -m pytest -m slow

check: $(DEV)/ready ## lint, types, layers, corpus
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports
	$(DEV)/bin/fankui data check

format: $(DEV)/ready
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

evaluate: $(DEV)/ready ## measure the shipped bundle beside a linear model
	$(DEV)/bin/fankui evaluate

train: $(DEV)/ready ## make a bundle from the committed encoder and corpus
	$(DEV)/bin/fankui train --out runs/bundle

bench: $(DEV)/ready ## print the benchmark tables
	$(DEV)/bin/python -m benchmarks.engine
	$(DEV)/bin/python -m benchmarks.label
	$(DEV)/bin/python -m benchmarks.label --memory
	$(DEV)/bin/python -m benchmarks.label --kill-run

bench-serving: $(DEV)/ready ## the service beside others; BENCH="--bundle runs/bundle --seconds 5 --peers fankui,mosec"
	$(DEV)/bin/python -m benchmarks.serving $(BENCH)

bench-mixed: $(DEV)/ready ## 10,000 mixed requests with random timeouts
	MIXED_REQUESTS=10000 $(DEV)/bin/python -m pytest -m slow tests/integration/test_service_load.py -k mixed

clean:
	rm -rf $(SERVE) $(DEV) build dist *.egg-info
