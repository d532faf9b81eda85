# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO ?= demo
VIDEOS ?= 8
SEED ?= 1
SHOWCASE ?= showcase
SHOWCASE_STEPS ?= 4500
SHOWCASE_SETTINGS = --set steps=$(SHOWCASE_STEPS) --set batch=8 --set holdout=0 --set random_windows=0.1 \
	--set network.block_out_channels=[48,64,96] --set checkpoint_every=500 --set validate_every=100000 --set sample_every=1000


.PHONY: demo showcase test soak lint format bench clean

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "longdance needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	PYTHON=$(PYTHON) sh tools/system-packages.sh
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/longdance pose-model
	@touch $(READY)

demo: $(READY)
	$(BIN)/python tools/demo.py --out $(DEMO) --videos $(VIDEOS) --seed $(SEED)

# The weights that the demo begins with, made again: the same commands, the same seed; hours on two cores.
showcase: $(READY)
	$(BIN)/longdance synth $(SHOWCASE)/raw --videos $(VIDEOS) --seed $(SEED)
	$(BIN)/longdance build $(SHOWCASE)/raw --data $(SHOWCASE)/data --variants 0
	$(BIN)/longdance train any --data $(SHOWCASE)/data --run $(SHOWCASE)/run $(SHOWCASE_SETTINGS)
	$(BIN)/longdance export --run $(SHOWCASE)/run --out $(SHOWCASE)/weights --half

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not soak'

soak: $(READY)
	$(BIN)/python -m pytest -m soak -s

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python bench/build.py
	$(BIN)/python bench/catalog.py

clean:
	rm -rf .venv $(DEMO) $(SHOWCASE)
