"""The resident process: reads what the kernel has counted, once a tick."""
