"""The cases of the system calls: a file for each group."""
from cases import file, process, vfs

CASES = file.CASES + vfs.CASES + process.CASES
