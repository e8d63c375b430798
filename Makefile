# make demo    render a dataset, edit images, train Fast-SCNN with two losses and on the edits, test, tabulate and draw
# make test    all tests
# make test-gpu  what needs a GPU, which make test skips without one
# make torture kill every program at random, fill its disk, feed it broken files; docs/reliability.md
# make lint    ruff, format and lint
# Each sets up $(VENV) first and does nothing twice.
# Without an NVIDIA GPU, torch's CPU build saves a download of gigabytes:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
DEMO ?= demo

COMMA := ,
# The demo edits images where the weights of the demo model are.
DEMO_EXTRAS := $(if $(wildcard augment/demo_model/weights/model_index.json),augment$(COMMA))table

BIN := $(VENV)/bin
TORCH_PIN := $(shell grep '^torch==' constraints.txt)

.PHONY: demo test test-gpu torture lint clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, '$(PYTHON)' is $$($(PYTHON) -V 2>&1); say e.g. make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact pin: everything after it is satisfied with the build that is there
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH_PIN)'
	@touch $@

$(VENV)/.run: constraints.txt pyproject.toml $(VENV)/.torch
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[$(DEMO_EXTRAS)]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[augment,table,deploy,dev]'
# without its torchvision, of which the tests need nothing
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -c constraints.txt timm
	@touch $@

demo: $(VENV)/.run
	PATH="$(abspath $(BIN)):$$PATH" bash bash/demo.sh $(DEMO)

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations 15

test-gpu: $(VENV)/.dev
	$(BIN)/python -m pytest -m gpu -v -rfE --durations 10

# KILLS=40 SEED=1 make torture
torture: $(VENV)/.dev
	PYTHONPATH=.:tests:tests/helpers OMP_NUM_THREADS=1 $(BIN)/python -m torture --kills $(or $(KILLS),200) --seed $(or $(SEED),0) --out torture.md

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) build *.egg-info
