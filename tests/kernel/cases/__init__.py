"""Workloads of exactly N events and what each must add to the charts: a file for each group."""
from cases import file, process, vfs

CASES = file.CASES + vfs.CASES + process.CASES
