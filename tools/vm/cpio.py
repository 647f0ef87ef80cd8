"""The archive format (cpio, "newc") that the kernel unpacks as its first file system."""
import os
import stat
from collections import namedtuple

# mode: as in st_mode, with the type; content: bytes, of a symbolic link its target; mtime: seconds
File = namedtuple("File", "mode content mtime", defaults=(b"", 0))

DIRECTORY = File(stat.S_IFDIR | 0o755)


def pack(files):
    """The archive, as bytes, of {path: File}. The directories above a path need not be among them."""
    whole = {}
    for path, file in files.items():
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            whole.setdefault("/".join(folders[:depth]), DIRECTORY)
        whole[path] = file
    # the kernel takes files of the same inode for hard links only if they have more than one link, so all may be 0
    return b"".join(entry(path, file) for path, file in whole.items()) + entry("TRAILER!!!", File(0))


def entry(path, file):
    name = os.fsencode(path) + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device (4 numbers), length of the name, checksum
    fields = (0, file.mode, 0, 0, 1, int(file.mtime), len(file.content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + name) + padded(file.content)


def padded(data):
    return data + b"\0" * (-len(data) % 4)
