# `make` or `make help` lists what there is.
PY := .venv/bin/python
DEMO := demo
# Of make chaos: seeds 1 to ROUNDS of the farm on services, and a quarter as many of the embedded one.
ROUNDS := 200
# What pytest makes of the tests is kept, or every process of a run compiles them again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo test check static pages fast fix chaos bench lock docs clean setup-demo setup-dev setup-services
.DEFAULT_GOAL := help
# A site that was not built to its end is no site.
.DELETE_ON_ERROR:

help:
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | expand -t 10

demo: setup-demo $(DEMO)/scene/turntable.blend  ## from nothing to pictures: install, make a scene, render it
	@rm -rf $(DEMO)/images
	RENDERCTL_DATA_DIR=$(DEMO)/data .venv/bin/renderctl render $(DEMO)/scene/turntable.blend -f 1-45x4 -o $(DEMO)/images
	@echo "The images are in $(DEMO)/images/turntable."

$(DEMO)/scene/turntable.blend: $(wildcard examples/turntable/*.py) | setup-demo
	$(PY) examples/turntable/make_scene.py $(DEMO)/scene

test: setup-dev check setup-services  ## everything that has to be true (about half an hour; starts its own servers)
	$(PY) -m tests.services -- sh -ec '\
		$(PY) -m pytest -q -n 2 --dist worksteal -m "(services or containers or slow) and not blender and not chaos"; \
		$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "blender or chaos"'

check: setup-dev  ## the quick part of it (a minute): format, lint, types, import contracts, docs, fast tests
	@$(MAKE) --no-print-directory -j 2 static pages fast

static:
	.venv/bin/ruff format --check --quiet
	.venv/bin/ruff check --quiet
	.venv/bin/mypy
	.venv/bin/lint-imports

# The site is built, strictly, when something that it is made of has changed since.
pages: site/index.html

site/index.html: mkdocs.yml CHANGELOG.md $(shell find docs -type f) $(wildcard src/renderctl/*/__init__.py)
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

# One process more than cores: some tests wait.
fast:
	$(PY) -m pytest -q -n 3 --dist worksteal --fast

fix: setup-dev  ## correct format and lint where a tool can
	.venv/bin/ruff format --quiet
	.venv/bin/ruff check --fix --quiet

chaos: setup-dev setup-services  ## rounds in which workers, servers and cables come to harm; ROUNDS=20 for fewer
	$(PY) -m pytest -q tests/chaos --ignore tests/chaos/test_served.py --rounds $$(( ($(ROUNDS) + 3) / 4 ))
	$(PY) -m pytest -q -n 3 tests/chaos/test_served.py --rounds $(ROUNDS)

bench: setup-services  ## what it costs beside a bare Blender, beside Celery, and as it grows
	@tools/setup.sh blender,dev,bench
	$(PY) -m tests.services -- $(PY) -m benchmarks

# LOCK=--upgrade renews every pin, LOCK="--upgrade-package NAME" one.
lock: setup-dev  ## pin what is installed; LOCK=--upgrade renews every pin
	$(PY) tools/lock.py $(LOCK)
	$(PY) tools/sbom.py

docs: setup-dev  ## write the generated pages, and build the site into site/
	$(PY) -m tests.cli.reference
	$(PY) -m tests.server.reference
	$(PY) -m tests.core.permissions_page
	$(PY) -m tests.core.settings_page
	$(PY) tools/decisions.py
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

clean:  ## remove what the others made here
	rm -rf $(DEMO) site .venv .mypy_cache .ruff_cache .pytest_cache

setup-demo:
	@tools/setup.sh blender

setup-dev:
	@tools/setup.sh blender,dev,docs

setup-services:
	@tools/setup.sh services
