"""The registry: every group, in dashboard order."""
from __future__ import annotations

from ..model.registry import with_priorities
from ..model.validate import validate
from .apps import APPS
from .file import FILE
from .network import NETWORK
from .process import PROCESS
from .softirq import SOFTIRQ
from .vfs import VFS

GROUPS = with_priorities((FILE, VFS, PROCESS, NETWORK, SOFTIRQ, APPS))

validate(GROUPS)
