# Bare `make` lists the targets.
PYTHON = /usr/bin/python3
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
PYTEST = $(SUDO) $(PYTHON) -m pytest

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## install what is missing and show the machine live (Ctrl-C ends)
	@tools/setup.sh run
	@$(SUDO) plugin/ebpf.plugin --debug

test: ## install what is missing and run everything that this machine can run
	@tools/setup.sh test
	$(MAKE) lint
	$(PYTEST) -q -rs

lint: ## the linter alone
	$(PYTHON) -m flake8 plugin tests tools

unit: ## tests that need no kernel and no root
	$(PYTHON) -m pytest -q tests/unit tests/golden

golden: ## write the golden files anew; look at the difference before you commit it
	$(PYTHON) -m pytest -q tests/golden --update-golden

kernel: ## the counting tests on the running kernel
	$(PYTEST) -q -rs tests/kernel

bench: ## what it costs, each figure beside a baseline of the same run
	@tools/setup.sh test
	@$(SUDO) $(PYTHON) tools/bench.py

.PHONY: help run test lint unit golden kernel bench
