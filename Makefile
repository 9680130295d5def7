# `make edit` and `make test` do all the set-up on a fresh clone; running them again takes seconds.
# The first installs what an edit needs, the second what developers need too.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WITH_TOOLS := $(VENV)/.installed-with-tools

.PHONY: browser edit test

edit: $(INSTALLED)
	@mkdir -p out
	$(BIN)/adaptedit edit examples/desk.png "remove the apple" -o out/desk-edited.png --sheet out/desk-sheet.png --overwrite

test: $(WITH_TOOLS)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

# Debian's Chromium for the browser tests, if there is none and this process may install it.
browser:
	@for name in $${CHROMIUM:-chromium} chromium-browser google-chrome chrome; do \
	  ! command -v "$$name" > /dev/null || exit 0; \
	done; \
	sudo=; test "$$(id -u)" = 0 || sudo="sudo -n"; \
	$$sudo apt-get -q update; $$sudo apt-get -q -y install chromium || \
	echo "There is no Chromium and none can be installed: the browser tests are skipped."

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e .
	touch $@

$(WITH_TOOLS): $(INSTALLED)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@
