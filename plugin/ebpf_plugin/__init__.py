"""ebpf.plugin: what the kernel does with files, VFS and processes, as Netdata charts."""

VERSION = "0.1.0"
