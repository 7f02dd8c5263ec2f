"""Functions that run before and after a module's `forward`. Imports nothing of fastgrad."""

from itertools import count

_ids = count()


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away, and so does leaving a `with` block."""

    def __init__(self, hooks, hook, prepend=False):
        self.id = next(_ids)
        self._hooks = hooks
        later = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[self.id] = hook
        hooks.update(later)

    def remove(self):
        self._hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Hooks:
    """The hooks of one module, each kind a dictionary in the order of running; a module without any has no `Hooks`."""

    __slots__ = ("after", "before")

    def __init__(self):
        self.before = {}
        self.after = {}

    def call(self, module, args, kwargs):
        for hook, with_kwargs in tuple(self.before.values()):
            if with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            "a forward pre-hook registered with_kwargs=True returns None or a tuple (args, kwargs), "
                            f"but got {changed!r}"
                        )
                    args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        output = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self.after.values()):
            changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            if changed is not None:
                output = changed
        return output
