# `make edit` and `make test` do all the set-up on a fresh clone; running them again takes seconds.
# The first installs what an edit needs, the second what developers need too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WITH_TOOLS := $(VENV)/.installed-with-tools

.PHONY: edit test

edit: $(INSTALLED)
	@mkdir -p out
	$(BIN)/adaptedit edit examples/desk.png "remove the apple" -o out/desk-edited.png --sheet out/desk-sheet.png --overwrite

test: $(WITH_TOOLS)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e .
	touch $@

$(WITH_TOOLS): $(INSTALLED)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@
