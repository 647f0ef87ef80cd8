"""From instructions to programs that run in the kernel."""
