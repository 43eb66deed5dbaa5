# `make test` and `make demo` need nothing but Python 3.11 or later: the rest is found or installed
# (tools/bootstrap.py). MRC_TEST_MYSQL_URL and MRC_TEST_REDIS_URL name servers of your own instead.
#   make test ARGS="-k keys -x"

# Processes that share the tests, each with servers of its own; WORKERS=0 for none but make's.
WORKERS ?= 2
# In the order of their names: the long ones of tests/chaos first, the many short ones of tests/unit at the end.
SHARED = --dist loadfile --no-loadscope-reorder
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BOOTSTRAP = $(if $(PYTHON),$(PYTHON),$(error Python 3.11 or later is needed (python3 on the PATH))) tools/bootstrap.py --venv $(VENV)
RUN = $(VENV)/bin

# What meets other packages: each driver's wing, typed rows, what exports figures, the frameworks.
BOUNDS = $(addprefix tests/unit/,aio cli database observe readthrough runtime store values) tests/client/test_snippets.py \
	tests/client/test_typed.py tests/client/test_prometheus.py tests/client/test_opentelemetry.py tests/client/test_sentry.py \
	tests/servers/test_connecting.py tests/servers/test_near.py \
	tests/servers/test_sessions.py tests/cli/test_looking.py tests/contrib/test_django.py

.DEFAULT_GOAL := help
.PHONY: help audit test bounds dist docs docs-test demo bench hammer chaos soak lint check format servers lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

test: ## run the tests on private servers
	@$(BOOTSTRAP) --servers --node --mysqlclient test
	@$(RUN)/python -m pytest -n $(WORKERS) $(SHARED) $(ARGS)

docs: ## build the site into build/site
	@$(BOOTSTRAP) --node site
	@$(RUN)/python -m tools.website

docs-test: ## build the site and open it in a browser
	@$(BOOTSTRAP) --node --chromium test site
	@$(RUN)/python -m pytest tests/site $(ARGS)

demo: ## show reads, a drop, a race, a crowd, an outage, a follower on real servers
	@$(BOOTSTRAP) --servers
	@$(RUN)/python -m tools.demo

bounds: ## test the oldest versions that pyproject.toml allows, on private servers
	@$(BOOTSTRAP) --servers
	@$(if $(PYTHON),$(PYTHON),$(error Python 3.11 or later is needed)) -m venv --clear .venvs/bounds
	@.venvs/bounds/bin/pip install --quiet --disable-pip-version-check uv
	@.venvs/bounds/bin/uv pip compile --quiet --resolution lowest-direct --all-extras --group test \
		--no-annotate --no-header --output-file .venvs/bounds/oldest.txt pyproject.toml
	@.venvs/bounds/bin/uv pip install --quiet --python .venvs/bounds/bin/python -r .venvs/bounds/oldest.txt -e .
	.venvs/bounds/bin/python -m pytest -q -n $(WORKERS) $(SHARED) $(BOUNDS) $(ARGS)

bench: ## measure beside other caches; writes docs/benchmarks.md
	@$(BOOTSTRAP) --servers bench
	@$(RUN)/python benchmarks/run.py $(ARGS)

hammer: ## look for stale reads from several processes for SECONDS=60, each way to drop
	@$(BOOTSTRAP) --servers
	@$(RUN)/python -m tools.hammer $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

chaos: ## followers of the binary log under everything at once for SECONDS=60: is anything outdated?
	@$(BOOTSTRAP) --servers
	@$(RUN)/python -m tools.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

soak: ## outages under load for MINUTES=5: does anything grow or go wrong?
	@$(BOOTSTRAP) --servers test
	@$(RUN)/python -m tools.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

lint: ## check style and types
	@$(BOOTSTRAP) --node test lint
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/pyright --pythonpath $(RUN)/python

check: test lint ## test and lint

format: ## rewrite the code in the project's style
	@$(BOOTSTRAP) lint
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

servers: ## install MariaDB and Redis if they are missing
	@$(BOOTSTRAP) --servers

lock: ## renew requirements-dev.lock from pyproject.toml
	@$(RUN)/python -m pip install --quiet uv
	$(RUN)/uv pip compile --universal --python-version 3.11 --all-extras --group test --group lint --group bench --group site --group mysqlclient \
		--upgrade --no-header --no-emit-index-url --no-annotate --quiet --output-file requirements-dev.lock pyproject.toml

dist: ## build what a package index gets, check it, and install it
	@$(if $(PYTHON),$(PYTHON),$(error Python 3.11 or later is needed)) -m venv --clear .venvs/dist
	@.venvs/dist/bin/pip install --quiet --disable-pip-version-check build twine
	@rm -rf dist
	.venvs/dist/bin/python -m build --outdir dist >/dev/null
	.venvs/dist/bin/twine check --strict dist/*
	@.venvs/dist/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	@cd dist && ../.venvs/dist/bin/python -c 'import mysql_redis_cache as it; print(it.__name__, it.__version__, "from", it.__path__[0])'

audit: ## look for known vulnerabilities in requirements-dev.lock; asks pypi.org
	@$(if $(PYTHON),$(PYTHON),$(error Python 3.11 or later is needed)) -m venv .venvs/audit
	@.venvs/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	.venvs/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements-dev.lock

clean: ## remove the environment and what the tools left behind
	rm -rf $(VENV) .venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build tests/interop/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
