# Bare `make` lists the targets.
PYTHON = /usr/bin/python3
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
KERNEL = bookworm
GUEST = env EBPF_PLUGIN_GUEST=1 EBPF_PLUGIN_TEST_PATIENCE=120
PYTEST = $(SUDO) $(PYTHON) -m pytest

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## install what is missing and show the machine live (Ctrl-C ends)
	@tools/setup.sh run
	@$(SUDO) plugin/ebpf.plugin --debug

test: ## install what is missing and run everything: on this kernel, and on Debian's 6.1 in a virtual machine
	@tools/setup.sh test
	$(MAKE) lint
	$(PYTEST) -q -rs
	$(MAKE) test-kernel KERNEL=bookworm

test-kernels: ## tests/kernel on Debian's kernels 5.10, 6.1, 6.12 and the newest, in virtual machines
	@tools/setup.sh test
	@for release in bullseye bookworm trixie sid; do $(MAKE) test-kernel test-lockdown KERNEL=$$release || exit; done

test-kernel: ## the same on one of them: make test-kernel KERNEL=trixie
	tools/vm/vm.py run --release $(KERNEL) --timeout 3600 -- $(GUEST) python3 -m pytest -q -rs tests/kernel

test-lockdown: ## what is left to the plugin under lockdown=confidentiality: make test-lockdown KERNEL=sid
	tools/vm/vm.py run --release $(KERNEL) --append lockdown=confidentiality -- $(GUEST) python3 -m pytest -q -rs tests/kernel/test_lockdown.py

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

.PHONY: help run test test-kernels test-kernel test-lockdown lint unit golden kernel bench

agent: ## tests/agent: a real Netdata agent with the package installed, in a system of its own
	@tools/setup.sh test
	$(PYTEST) -q -rs tests/agent

deb: ## build the Debian package into build/
	@packaging/deb.sh

selinux: ## compile the SELinux policy module into build/
	@packaging/selinux/build.sh

.PHONY: agent deb selinux
