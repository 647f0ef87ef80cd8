"""The registry: every group, in dashboard order."""
from ..model.group import validate
from .apps import APPS
from .file import FILE
from .network import NETWORK
from .process import PROCESS
from .vfs import VFS

GROUPS = (FILE, VFS, PROCESS, NETWORK, APPS)

validate(GROUPS)
