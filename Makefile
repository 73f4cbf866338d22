# The two commands are `make train` and `make test`; each sets up what is missing.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests wait for other processes a third of their time: one worker more than cores.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# Some images switch compiled modules off; importing paddle then takes 5 seconds longer, each time.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup train train-det train-rec finetune test lint types check docs check-deploy wheel clean

help:
	@echo "make train      train a detector on drawn pages and a recognizer on drawn words, and evaluate them"
	@echo "make train-det  the detector alone (2 CPU cores: under 6 minutes)"
	@echo "make train-rec  the recognizer alone (2 CPU cores: 4 minutes and the drawing)"
	@echo "make finetune   fetch a deployed recognizer and teach it new letters on drawn words (2 CPU cores: under 4 minutes)"
	@echo "make test       run the tests"
	@echo "make check      lint, types and tests"
	@echo "make docs       build the documentation as a site into build/site"
	@echo "make check-deploy  install the wheel in a fresh environment, as production does, and read a page"
	@echo "make setup      make $(VENV) and install; the GPU build of paddle where there is a GPU"
	@echo "make wheel      build the wheel into dist/"

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	VENV=$(VENV) scripts/setup.sh
	@touch $@

train: train-det train-rec

train-det: setup
	$(BIN)/python -m ocrexp experiment=quickstart $(ARGS)

train-rec: setup
	$(BIN)/python -m ocrexp experiment=quickstart_rec $(ARGS)

finetune: setup
	$(BIN)/python -m ocrexp fetch ppocrv6_small_rec
	$(BIN)/python -m ocrexp experiment=quickstart_finetune $(ARGS)

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

check: lint types test

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --clean

check-deploy: setup
	$(BIN)/python scripts/check_deploy.py

wheel: setup
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
