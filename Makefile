# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PAGE := flows/report/page
READY := .venv/.ready
DEMO ?= demo
VIDEOS ?= 8
SEED ?= 1
# cpu or cuda; without a word what fits the machine.
TORCH ?=
export DENO_NO_UPDATE_CHECK := 1
# No tool reports to its maker (flows/server/telemetry.py); SE: selenium's, which tests drive a browser with.
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export SE_AVOID_STATS := true
.PHONY: install demo showcase test soak lint format bench clean

$(READY): constraints.txt pyproject.toml tools/torch.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "longdance needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	PYTHON=$(PYTHON) sh tools/system-packages.sh
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	PYTHON=$(BIN)/python sh tools/torch.sh $(TORCH)
	@echo "installing longdance and what it needs into .venv: some minutes, and some gigabytes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/longdance pose-model
	@touch $(READY)
	@echo "installed in .venv; next: . .venv/bin/activate, then longdance doctor"

install: $(READY)

demo: $(READY)
	$(BIN)/python tools/demo.py --out $(DEMO) --videos $(VIDEOS) --seed $(SEED)

showcase: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python tools/showcase.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not soak' --durations 40

soak: $(READY)
	$(BIN)/python -m pytest -m soak -s

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/house.py
	$(BIN)/deno fmt --check --quiet
	cat $(PAGE)/*.js | $(BIN)/deno lint --quiet -

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/deno fmt --quiet

bench: $(READY)
	$(BIN)/python bench/build.py
	$(BIN)/python bench/catalog.py

clean:
	rm -rf .venv $(DEMO)
