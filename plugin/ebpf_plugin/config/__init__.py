"""What the user wants: ebpf.conf and what belongs to it."""
