"""How many hooks the tests attached, for the summary that conftest.py prints."""
_hooks = {}  # {METHOD-MODE: [(attached by the method, all)] of each fixture}


def note_hooks(method_and_mode, attached):
    methods = [hook.method for of_group in attached.loaded.hooks.values() for hook in of_group.values()]
    _hooks.setdefault(method_and_mode, []).append((methods.count(attached.method), len(methods)))


def hooks(method_and_mode):
    """(hooks attached by the method, all hooks)"""
    return tuple(map(sum, zip(*_hooks[method_and_mode])))
