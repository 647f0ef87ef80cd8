# Bare `make` lists the targets.
PYTHON = /usr/bin/python3
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
KERNEL = bookworm
GUEST = env EBPF_PLUGIN_GUEST=1 EBPF_PLUGIN_TEST_PATIENCE=400
PYTEST = $(SUDO) $(PYTHON) -m pytest

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: ## install what is missing and show the machine live (Ctrl-C ends); one tick in plain lines if stdout is no terminal
	@tools/setup.sh run
	@$(MAKE) -s bytecode
	@if [ -t 1 ]; then set --; else set -- --once; fi; $(SUDO) plugin/ebpf.plugin --debug "$$@"

metrics: ## install what is missing and serve metrics to Prometheus at 127.0.0.1:9435 (Ctrl-C ends)
	@tools/setup.sh run
	@$(MAKE) -s bytecode
	@$(SUDO) plugin/ebpf.plugin --listen 9435

test: ## install what is missing and run everything: on this kernel, and on Debian's 6.1 in virtual machines
	@tools/setup.sh test
	$(MAKE) lint bytecode
	$(PYTEST) -q -rs tests/unit tests/golden
	tools/vm/vm.py build bookworm
	$(MAKE) -j4 -O here test-kernel KERNEL=bookworm SOME='-m "not releases"'

# BPF programs for all kernels of this architecture, compiled once. Made anew when what they are made of is newer.
BYTECODE = build/bytecode-$(shell uname -m)

bytecode: $(BYTECODE) ## compile bpf/ by BCC, for all kernels of this architecture
$(BYTECODE): $(wildcard bpf/*.[ch] bpf/include/*/*.h bpf/include/*/*/*.h plugin/ebpf_plugin/*/*.py)
	@mkdir -p build
	cd plugin && $(PYTHON) -B -m ebpf_plugin.compile ../$@

RELEASES = $(patsubst %,build/kernel-%.log,bullseye bookworm trixie sid)

test-kernels: ## tests/kernel on Debian's kernels 5.10, 6.1, 6.12 and the newest, in virtual machines, three at a time
	@tools/setup.sh test
	@$(MAKE) bytecode
	@rm -f $(RELEASES)
	@$(MAKE) -k -j3 $(RELEASES); status=$$?; grep -h " workloads exact" $(RELEASES); exit $$status

.PRECIOUS: build/kernel-%.log
build/kernel-%.log:
	@mkdir -p build
	@$(MAKE) -k -O test-kernel test-lockdown KERNEL=$* > $@ 2>&1; status=$$?; cat $@; exit $$status

test-kernel: test-counting test-lifecycle test-faults ## the same on one of them: make -j3 test-kernel KERNEL=trixie

# Guests for parts of it that can run side by side: much of it is waiting.
COUNTING = $(patsubst %,tests/kernel/test_%.py,\
  counts network_counts network_workloads filtered_traffic iperf application_counts application_slots cgroup_counts)
LIFECYCLE = $(patsubst %,tests/kernel/test_%.py,plugin_process compiling restricted_machines sighup)
FAULTS = $(filter-out $(COUNTING) $(LIFECYCLE) tests/kernel/test_lockdown.py,$(wildcard tests/kernel/test_*.py))
GUEST_TESTS = tools/vm/vm.py run --release $(KERNEL) --timeout 3600 $(BOOT) -- $(GUEST) python3 -m pytest -q -rs $(SOME)

test-counting: ## the part of it that says how exact the charts are
	$(GUEST_TESTS) $(COUNTING)

test-lifecycle: ## the part about beginning, ending and what a machine refuses
	$(GUEST_TESTS) $(LIFECYCLE)

test-faults: ## the part about faults and floods
	$(GUEST_TESTS) $(FAULTS)

test-lockdown: ## what is left to the plugin under lockdown=confidentiality: make test-lockdown KERNEL=sid
	$(GUEST_TESTS) tests/kernel/test_lockdown.py
test-lockdown: BOOT = --append lockdown=confidentiality

lint: ## the linter, and the types of the package
	$(PYTHON) -m flake8 plugin tests tools
	$(PYTHON) -m mypy

unit: ## tests that need no kernel and no root
	$(PYTHON) -m pytest -q tests/unit tests/golden

golden: ## write the golden files anew; look at the difference before you commit it
	$(PYTHON) -m pytest -q tests/golden --update-golden

kernel: ## the counting tests on the running kernel
	$(PYTEST) -q -rs tests/kernel

here: ## what needs this machine itself, in turn, as a plugin of one test would be seen by another
	@tools/setup.sh test
	@$(MAKE) bytecode
	$(MAKE) kernel
	$(MAKE) agent

docs: ## write what the code knows: tables in README.md and packaging/docs, the dashboard for Grafana
	$(PYTHON) tools/docs.py
	$(PYTHON) tools/dashboard.py

bench: ## what it costs, each figure beside a baseline of the same run
	@tools/setup.sh test
	@$(MAKE) bytecode
	@$(SUDO) $(PYTHON) tools/bench.py

.PHONY: help run metrics bytecode test test-kernels test-kernel test-counting test-lifecycle test-faults test-lockdown
.PHONY: lint unit golden kernel here bench docs

agent: ## the package, and a real Netdata agent with it installed, in a system of its own
	@tools/setup.sh test
	$(PYTEST) -q -rs tests/install tests/agent

deb: ## build the Debian package into build/
	@packaging/deb.sh

selinux: ## compile the SELinux policy module into build/
	@packaging/selinux/build.sh

.PHONY: agent deb selinux
