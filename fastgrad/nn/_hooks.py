"""Functions that run before and after a module's `forward`, and how they are registered.

Imports the core and _backward_hooks.
"""

from itertools import count

from fastgrad import _core
from fastgrad._core.call import expect_hooks
from fastgrad.nn._backward_hooks import BackwardCall

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
        _core.module_changed()

    def remove(self):
        self._hooks.pop(self.id, None)
        _core.module_changed()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Hooks:
    """The hooks of one module, each kind a dictionary in the order of running; a module without any has no `Hooks`."""

    __slots__ = ("after", "after_backward", "before", "before_backward")

    def __new__(cls):  # also where a copy is made or a pickle is read
        expect_hooks()
        return super().__new__(cls)

    def __init__(self):
        self.before = {}
        self.after = {}
        self.before_backward = {}
        self.after_backward = {}

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
        backward = None
        if self.before_backward or self.after_backward:
            backward = BackwardCall(module, self.before_backward, self.after_backward)
            args = backward.enter(args)
        output = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self.after.values()):
            changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            if changed is not None:
                output = changed
        return output if backward is None else backward.leave(output)
