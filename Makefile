# `make` prints the targets.
PYTHON ?= python3
BIN := .venv/bin
ROWS ?= 1000000

.PHONY: help setup demo test test-real check bench bench-prepare reproduce-table1 clean
.DEFAULT_GOAL := help

help: ## print this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: ## install all that demo and test need into .venv (once)
	@$(PYTHON) scripts/install.py

demo: setup ## run what is built on the shipped sample: no GPU, no account, no key
	$(BIN)/thinkus prepare data=sample
	@$(BIN)/thinkus runs
	@echo "Next: outputs/prepare/sample/records.jsonl holds the conversations; README.md shows the stages."

test: setup ## the tests: no root, no server
	$(BIN)/python -m pytest

test-real: setup ## tests against real SLURM, vLLM and a browser, where they are
	$(BIN)/python -m pytest -m real

check: setup ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup ## how fast the command line answers
	$(BIN)/python bench/command_line.py

bench-prepare: setup ## prepare on a million conversations, and the obvious way beside it
	$(BIN)/python bench/prepare.py --rows $(ROWS)

reproduce-table1: ## the paper's Table 1 (not built yet)
	@echo "reproduce-table1 is not built yet: it needs annotate, sft, simulate and judge (see README.md)"; exit 2

clean: ## remove .venv and caches; outputs/ stays
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
