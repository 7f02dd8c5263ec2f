"""What a user differentiates with: backward(), grad(), `.grad` and hooks. Checks at the door; backward.pyx does the work."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from .backward cimport run
from .tensor cimport *
from .views cimport settle

from ._errors import ShapeError
from .record import module_changed
from .tensor import install


cdef Tensor first_gradient(Tensor y, object g, str who):
    """The gradient a run starts with at y: ones for a scalar, else what the caller gave."""
    if g is None:
        if y.layout.c.size != 1:
            raise RuntimeError(f"{who}: grad can be implicitly created only for scalar outputs; the output has shape "
                               f"{tuple(shape_of(y.layout))}: reduce it (.sum(), .mean()) or pass a gradient of that shape")
        return filled_one(y)
    if type(g) is not Tensor:
        raise TypeError(f"{who}: the gradient must be a Tensor, got {type(g).__name__}")
    if not same_shape((<Tensor>g).layout, y.layout):
        raise ShapeError(f"{who}: the gradient has shape {tuple(g.shape)}, the output {tuple(shape_of(y.layout))}; "
                         f"they must be equal")
    settle(<Tensor>g)
    return <Tensor>g


cdef Tensor filled_one(Tensor y):
    cdef Tensor g = new_tensor(dense_form(y.layout), y.dtype)
    if y.dtype == FG_F32:
        (<float*>g.data)[0] = 1
    else:
        (<double*>g.data)[0] = 1
    return g


cdef int only_reverse(Tensor t, str who) except -1:
    if t.flags & BOXED:
        raise RuntimeError(f"{who}: not possible inside vmap; take derivatives there with fastgrad.func.grad, vjp or jvp")
    return 0


cdef int check_output(Tensor y, str who) except -1:
    settle(y)
    only_reverse(y, who)
    if not y.flags & REQUIRES_GRAD:
        raise_no_history(y, who)
    return 0


cdef int raise_no_history(Tensor y, str who) except -1:
    if not fg_is_real(y.dtype):
        why = (f"it is {dtype_of(y.dtype).name}: a cast to integers or bool, argmax and comparisons have no derivative; "
               f"differentiate the values they were made from")
    elif not thread().recording:
        why = "recording is off here: this line, or the one that computed it, is inside no_grad() or inference_mode()"
    else:
        why = ("nothing it was computed from requires grad (call requires_grad_() on the inputs), or the chain to it was cut, by "
               "no_grad(), detach(), a cast to integers, a comparison, argmax or NumPy")
    if thread().special & WATCHED:
        why = watch.cut(y) or why
    elif fg_is_real(y.dtype) and thread().recording:
        why += "; inside `with fastgrad.detect_anomaly():` this message names the line that cut it"
    raise RuntimeError(f"{who}: element 0 of tensors does not require grad and does not have a grad_fn: {why}")


def backward(tensors, grad_tensors=None, retain_graph=None, bint create_graph=False, inputs=None):
    """Adds to ``.grad`` of the leaves the gradients of all tensors together, in one run.

    tensors: a Tensor or a sequence of them. grad_tensors: their gradients; None, or None in the sequence, for scalars.
    retain_graph, create_graph, inputs: as for `Tensor.backward`.
    """
    cdef list ys = [tensors] if type(tensors) is Tensor else list(tensors)
    cdef list first = starting_gradients(ys, grad_tensors, "backward")
    wanted = None if inputs is None else wanted_list(inputs, "backward")
    run(ys, first, wanted, create_graph if retain_graph is None else retain_graph, create_graph, True)


cdef list starting_gradients(list ys, object grads, str who):
    """The gradients a run starts with; every output and every gradient is checked first."""
    cdef list first = []
    if grads is None:
        grads = [None] * len(ys)
    elif type(grads) is Tensor:
        grads = [grads]
    if not ys:
        raise RuntimeError(f"{who}: got no tensors")
    if len(grads) != len(ys):
        raise RuntimeError(f"{who}: got {len(ys)} tensors but {len(grads)} gradients")
    for y, g in zip(ys, grads):
        if type(y) is not Tensor:
            raise TypeError(f"{who}: expected Tensors, got {type(y).__name__}")
        check_output(<Tensor>y, who)
        first.append(first_gradient(<Tensor>y, g, who))
    return first


def tensor_backward(Tensor self not None, gradient=None, retain_graph=None, bint create_graph=False, inputs=None):
    """Computes the gradient of this tensor with respect to the leaves it depends on and adds it to their ``.grad``.

    gradient: Tensor of this tensor's shape, the gradient with respect to it; not needed for one element (then 1).
    retain_graph: keep the graph for another call; the default is the value of create_graph.
    create_graph: record the backward pass itself, for derivatives of higher order.
    inputs: the leaves (or tensors that retain their gradient) to compute; all by default.

    Raises RuntimeError where this tensor has no history, is not a scalar and no gradient is given, or the graph was freed.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    cdef list wanted = None
    check_output(self, "backward")
    g = first_gradient(self, gradient, "backward")
    if inputs is not None:
        wanted = wanted_list(inputs, "backward")
    run([self], [g], wanted, create_graph if retain_graph is None else retain_graph, create_graph, True)


cdef list wanted_list(object inputs, str who):
    cdef list found = [inputs] if type(inputs) is Tensor else list(inputs)
    if not found:
        raise RuntimeError(f"{who}: inputs is empty")
    for t in found:
        if type(t) is not Tensor:
            raise TypeError(f"{who}: inputs must be Tensors, got {type(t).__name__}")
        settle(<Tensor>t)
        only_reverse(<Tensor>t, who)
        if not (<Tensor>t).flags & REQUIRES_GRAD:
            raise RuntimeError(f"{who}: one of the inputs does not require grad; call requires_grad_() on it before it is used")
    return found


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, bint create_graph=False, only_inputs=True, allow_unused=None,
         bint is_grads_batched=False, bint materialize_grads=False):
    """The gradients of outputs with respect to inputs, as a tuple with one Tensor for each input; ``.grad`` is not touched.

    outputs: a Tensor or a sequence of them; inputs likewise. grad_outputs: the gradients with respect to the outputs (None
    for scalars). allow_unused: None instead of an error for an input that the outputs do not depend on.
    materialize_grads: zeros for such an input. only_inputs is always so; for is_grads_batched use `func.vmap` of `func.vjp`.

    >>> import fastgrad as fg
    >>> x = fg.tensor(3.0, requires_grad=True)
    >>> fg.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    cdef list ys = [outputs] if type(outputs) is Tensor else list(outputs)
    cdef list wanted = wanted_list(inputs, "grad")
    if is_grads_batched or not only_inputs:
        raise ValueError("grad: is_grads_batched must be False (use func.vmap of func.vjp), only_inputs True")
    cdef list first = starting_gradients(ys, grad_outputs, "grad")
    got = run(ys, first, wanted, create_graph if retain_graph is None else retain_graph, create_graph, False)
    if materialize_grads:
        got = [zeros_like(w) if g is None else g for w, g in zip(wanted, got)]
    elif not allow_unused:
        for k, g in enumerate(got):
            if g is None:
                raise RuntimeError(
                    f"grad: input {k}, of shape {tuple((<Tensor>wanted[k]).shape)}, was not used to compute the outputs: nothing "
                    f"leads from it to them but perhaps detach() or no_grad(); pass allow_unused=True for None (or "
                    f"materialize_grads=True for zeros) in its place")
    return tuple(got)


cdef Tensor zeros_like(Tensor t):
    cdef Tensor z = new_tensor(dense_layout(t.layout.c.ndim, t.layout.c.shape), t.dtype)
    memset(z.data, 0, <size_t>z.storage.nbytes)
    return z


tensor_backward.__name__ = "backward"
install("backward", tensor_backward)


# ---- gradients and hooks of a tensor -------------------------------------------------------------------------------

def _get_grad(Tensor self):
    settle(self)
    if self.node is not None and self.node.state & N_LEAF:
        return peek(<Leaf>self.node)
    return None if self.extra is None else self.extra.retained


def _set_grad(Tensor self, value):
    settle(self)
    if value is not None:
        if type(value) is not Tensor:
            raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
        if not same_shape((<Tensor>value).layout, self.layout):
            raise ShapeError(f"assigned grad has shape {tuple(value.shape)}, the tensor {tuple(self.shape)}; they must be equal")
        if (<Tensor>value).dtype != self.dtype:
            raise TypeError(f"assigned grad has dtype {value.dtype}, the tensor {dtype_of(self.dtype)}; they must be equal")
    if self.node is not None and self.node.state & N_LEAF:
        replace_grad(<Leaf>self.node, value)
        if value is not None and (<Tensor>value).flags & REQUIRES_GRAD:
            extra_of(self.node)
    else:
        more_of(self).retained = value


install("grad", property(_get_grad, _set_grad, None,
                         "The gradient accumulated by `backward`, a Tensor of this shape; None before."))


def retain_grad(Tensor self not None):
    """Makes a tensor that is no leaf keep its gradient in ``.grad`` during `backward`; nothing for a leaf."""
    settle(self)
    if not self.flags & REQUIRES_GRAD:
        raise RuntimeError("can't retain_grad on a tensor that has requires_grad=False")
    if self.node.state & N_LEAF or self.flags & RETAINS:
        return
    self.flags |= RETAINS
    set_history(self, self.node, self.at)


def retains_grad(Tensor self not None):
    """Whether this is a tensor that is no leaf and keeps its gradient: what `retain_grad` sets. False for a leaf.

    >>> import fastgrad as fg
    >>> y = fg.ones(2, requires_grad=True) * 2
    >>> y.retain_grad()
    >>> y.retains_grad
    True
    """
    return (self.flags & RETAINS) != 0


install("retain_grad", retain_grad)
install("retains_grad", property(retains_grad))


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away, and so does the end of a with block."""

    def __init__(self, hooks, number):
        self._hooks, self._number = hooks, number

    def remove(self):
        """Takes the hook away; nothing if it is gone already."""
        self._hooks[:] = [h for h in self._hooks if h[1] != self._number]
        module_changed()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


cdef int64_t hook_number = 0


def register_hook(Tensor self not None, hook):
    """Calls ``hook(grad)`` each time the gradient of this tensor is computed; what it returns, if not None, replaces it.

    Returns a handle with ``remove()``. Raises RuntimeError where this tensor does not require grad.
    """
    global hook_number
    settle(self)
    if not self.flags & REQUIRES_GRAD:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if not callable(hook):
        raise TypeError(f"a hook must be callable, got {type(hook).__name__}")
    extra = extra_of(self.node)
    if extra.hooks is None:
        extra.hooks = []
    hook_number += 1
    extra.hooks.append((self.at, hook_number, hook))
    if self.node.state & N_LEAF:
        module_changed()        # compiled functions depend on it as on a module's
    return RemovableHandle(extra.hooks, hook_number)


install("register_hook", register_hook)
