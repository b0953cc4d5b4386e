# make demo: from nothing to figures. make test: what every change must pass.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo figure docs test test-all test-slow lint check-part leaderboard coverage test-matrix clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LEADERBOARD ?= leaderboard
DEMO_DATA := data/demo
DEMO_RESULTS := results_dacr/demo
DEMO_QUERIES ?= 4000
HOLDOUT := grade-school-math,mbpp

help:
	@echo "make demo      from nothing to figures, on the embedded benchmark (no download)"
	@echo "make test      ruff, mypy and the quick tests"
	@echo "make test-all  the same, and then the slow tests"
	@echo "make check-part NAME=mine [PLUGIN=my_part.py]  the contract of one part"
	@echo "make leaderboard  leaderboard/README.md from leaderboard/data.parquet and the files in leaderboard/submissions"
	@echo "make coverage  branch coverage of every folder of dacr/, all tests"
	@echo "make test-matrix  the quick tests with the lowest versions that requirements.txt allows, and on PYTHONS"
	@echo "make docs      the documentation as a site: site/index.html"
	@echo "make lint      ruff and mypy alone"
	@echo "make figure    redraw the figure of README.md from the demo's results"
	@echo "make clean     remove the virtual environment, caches, and the demo's data and results"

# A stamp per set of requirements: the environment is made once, and again only when they change.
# Byte code is left to the first import: most of what is installed is never imported. It is kept then, also where a
# container's settings forbid it: each process would compile pandas, scikit-learn and matplotlib anew, for 3 s.
export PYTHONDONTWRITEBYTECODE :=
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "needs Python 3.11 or newer, got " + sys.version.split()[0] + "; try: make $(MAKECMDGOALS) PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --no-compile -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --no-compile -r requirements-dev.txt
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run
	$(BIN)/python scripts/prepare_routerbench.py --sample $(DEMO_QUERIES) --out $(DEMO_DATA)/long.parquet
	$(BIN)/python scripts/build_stream.py --data $(DEMO_DATA)/long.parquet --ood_holdout "$(HOLDOUT)" \
	    --out $(DEMO_DATA)/stream.jsonl --max_queries 0
	$(BIN)/python scripts/simulate_latency.py --data $(DEMO_DATA)/long.parquet --stream $(DEMO_DATA)/stream.jsonl \
	    --out $(DEMO_DATA)/latency_eff.jsonl --out_base $(DEMO_DATA)/latency_base.jsonl
	$(BIN)/python scripts/run_experiment.py --data $(DEMO_DATA)/long.parquet --stream $(DEMO_DATA)/stream.jsonl \
	    --latency_log $(DEMO_DATA)/latency_eff.jsonl --results_dir $(DEMO_RESULTS) --ood_holdout "$(HOLDOUT)" \
	    --budget_grid 5
	@echo
	@echo "The figures are in $(DEMO_RESULTS)/figures (PDF, PNG, and the CSV behind each)."
	@echo "Begin with $(DEMO_RESULTS)/figures/quality_cost.png, or open $(DEMO_RESULTS)/report.html."

figure: demo
	mkdir -p docs/img
	$(BIN)/python scripts/make_figures.py --results_dir $(DEMO_RESULTS) --figures quality_cost \
	    --routers dacr,predict_optimize,knn,joint_ranker,linucb,paced_bandit,port,static,zero,domain_oracle,oracle
	$(BIN)/python -c 'from PIL import Image; i = Image.open("$(DEMO_RESULTS)/figures/quality_cost.png").convert("RGB"); \
	    i.resize((1600, round(i.height * 1600 / i.width)), 1).quantize(96, dither=0).save("docs/img/quality_cost.png", optimize=True)'
	$(BIN)/python scripts/make_figures.py --results_dir $(DEMO_RESULTS)

$(VENV)/.docs: requirements-docs.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --no-compile -r requirements-docs.txt
	@touch $@

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html"

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p dacr

# The quick tests' closing line stays the last but one thing on the screen; the exit code is pytest's own.
test: lint
	@code=0; $(BIN)/python -m pytest -q -n 2 -m "not slow" || code=$$?; echo "pytest exit code: $$code"; exit $$code

test-slow: $(VENV)/.dev
	@code=0; $(BIN)/python -m pytest -q -n 2 -m slow --durations=10 || code=$$?; echo "pytest exit code: $$code"; exit $$code

test-all: test
	@$(MAKE) --no-print-directory test-slow

check-part: $(VENV)/.run
	@$(BIN)/python -m dacr.contracts --name "$(NAME)" --plugin "$(PLUGIN)"

leaderboard: $(VENV)/.run
	$(BIN)/python scripts/score_decisions.py --data $(LEADERBOARD)/data.parquet --decisions "$(LEADERBOARD)/submissions/*" \
	    --results_dir $(LEADERBOARD)/results --leaderboard $(LEADERBOARD)/README.md
	$(BIN)/python scripts/make_figures.py --results_dir $(LEADERBOARD)/results

# Processes that tests start are counted too (patch in pyproject.toml).
coverage: $(VENV)/.dev
	rm -f .coverage .coverage.*
	-$(BIN)/coverage run -m pytest -q -n 2 $(COVERAGE_TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage json -q -o .coverage.json
	$(BIN)/python tests/coverage_by_folder.py .coverage.json

# Environments of their own: the lowest versions on PYTHON, the newest on each of PYTHONS; those that are not there are named.
PYTHONS ?= python3.12 python3.13 python3.14
test-matrix:
	@for one in lowest $(PYTHONS); do \
	    python=$$one; [ $$one != lowest ] || python=$(PYTHON); \
	    $$python --version >/dev/null 2>&1 || { echo "$$one: not here, left out"; continue; }; \
	    rm -rf .venv-$$one && $$python -m venv .venv-$$one; \
	    if [ $$one = lowest ]; then sed -nE 's/\[[a-z]+\]//; s/^([A-Za-z0-9-]+)>=([0-9.]+).*/\1==\2/p' requirements.txt; fi >.venv-$$one/bounds.txt; \
	    .venv-$$one/bin/python -m pip install -q --no-compile -r requirements-dev.txt -c .venv-$$one/bounds.txt; \
	    .venv-$$one/bin/python -m pytest -q -n 2 -m "not slow" $(MATRIX_TESTS) || code=1; \
	done; exit $${code:-0}

clean:
	rm -rf $(VENV) .coverage .coverage.* $(DEMO_DATA) $(DEMO_RESULTS) .mypy_cache .ruff_cache .hypothesis .benchmarks build dist site *.egg-info
	find . -name __pycache__ -type d -not -path "./.git/*" -prune -exec rm -rf {} +
