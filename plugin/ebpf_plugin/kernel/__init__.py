"""What asks the running kernel: system calls, BTF, tracefs, maps."""
