# VaultQ's tasks; `make help` lists them. Everything Python runs in .venv, made from requirements.lock.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test chaos soak check bench lock clean

bin := .venv/bin
distributions := . client_cli plugins/keystore_file plugins/keystore_pkcs11 plugins/storage_fs
projects := $(distributions:%=%/pyproject.toml)
installed := .venv/.installed
# What mypy reads: a directory joins as soon as it holds Python files.
checked := $(foreach dir,vaultq_core client_cli plugins softhsm docs tests tools benchmarks,$(if $(shell find $(dir) -name '*.py' -print -quit 2>/dev/null),$(dir)))

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(installed) ## show a record's whole way; FILE=path takes a file of your own, KEYSTORE=pkcs11 a SoftHSM token
	$(if $(filter pkcs11,$(KEYSTORE)),tools/need softhsm2-util)
	$(bin)/python tools/demo.py $${FILE:+--file "$$FILE"} $(if $(KEYSTORE),--keystore "$(KEYSTORE)")

test: $(installed) ## run all tests but the chaos tests
	tools/need openssl curl softhsm2-util pkcs11-tool
	$(bin)/pytest -m 'not chaos'

chaos: $(installed) ## run the tests that kill processes
	tools/need openssl curl softhsm2-util pkcs11-tool
	$(bin)/pytest -m chaos tests/chaos

soak: $(installed) ## 10,000 records put and read on SoftHSM, disturbed meanwhile; RECORDS=n takes another number
	tools/need softhsm2-util
	$(bin)/python tools/soak.py $${RECORDS:+--records "$$RECORDS"}

check: $(installed) ## lint, format, types and import contracts
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy $(checked)
	$(bin)/lint-imports

bench: $(installed) ## measure, and write benchmarks/results
	tools/need softhsm2-util
	$(bin)/python benchmarks/run.py
	$(bin)/python benchmarks/keystores.py

lock: $(installed) ## resolve the dependencies anew into requirements.lock; UPGRADE=1 takes newer versions
	UV_CUSTOM_COMPILE_COMMAND='make lock' $(bin)/uv pip compile --quiet --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-emit-find-links --no-emit-package vaultq-core \
		$${UPGRADE:+--upgrade} --output-file requirements.lock \
		pyproject.toml --extra server $(filter-out ./pyproject.toml,$(projects)) requirements-dev.in

clean: ## remove the environment, caches and build outputs
	rm -rf .venv demo-data .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf $(distributions:%=%/dist) $(distributions:%=%/build)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(installed): requirements.lock $(projects)
	"$$(tools/find-python)" -m venv --clear .venv
	$(bin)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(bin)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps $(distributions:%=-e %)
	touch $@
