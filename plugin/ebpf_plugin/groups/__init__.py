"""The registry: every group, in dashboard order."""
from ..group import validate
from .file import FILE
from .process import PROCESS
from .vfs import VFS

GROUPS = (FILE, VFS, PROCESS)

validate(GROUPS)
