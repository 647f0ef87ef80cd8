"""The BPF programs of this machine, ours and others', and what the kernel counts of each."""
