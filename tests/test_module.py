"""Module and containers: registration, walking, state, hooks, copying."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from collections import OrderedDict

import pytest

import fastgrad
from fastgrad import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.register_buffer("scale", fastgrad.ones(4))
        self.register_buffer("scratch", fastgrad.zeros(2), persistent=False)
        self.second = nn.Linear(4, 2, bias=False)

    def forward(self, x, shift=0.0):
        return self.second((self.first(x) * self.scale).tanh()) + shift


def names(pairs):
    return [name for name, _ in pairs]


def test_what_is_assigned_is_registered_in_order():
    net = Net()
    assert names(net.named_parameters()) == ["first.weight", "first.bias", "second.weight"]
    assert names(net.named_buffers()) == ["scale", "scratch"]
    assert names(net.named_modules()) == ["", "first", "second"]
    assert names(net.named_children()) == ["first", "second"]
    assert [p.shape for p in net.parameters()] == [(4, 3), (4,), (2, 4)]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in net.parameters())


def test_entries_are_plain_attributes():
    net = Net()
    assert net.__dict__["first"] is net.first
    assert net.first.__dict__["weight"] is net.first.weight
    assert net.second.bias is None
    assert dict(net.second._parameters) == {"weight": net.second.weight, "bias": None}


def test_the_dictionaries_write_through():
    net = Net()
    new = nn.Parameter(fastgrad.zeros(4, 3))
    net.first._parameters["weight"] = new
    assert net.first.weight is new
    net._modules["second"] = nn.Identity()
    assert isinstance(net.second, nn.Identity)
    del net._buffers["scale"]
    assert not hasattr(net, "scale")
    with pytest.raises(KeyError):
        net._parameters["first"]


def test_assignment_moves_a_name_between_kinds():
    net = Net()
    net.scale = nn.Parameter(fastgrad.ones(4))
    assert names(net.named_buffers()) == ["scratch"]
    assert "scale" in names(net.named_parameters())
    net.first = None
    assert names(net.named_children()) == ["second"]
    del net.scale
    assert names(net.named_parameters()) == ["second.weight"]


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [("first", 3, "as module 'first'"), ("scale", "x", "as buffer 'scale'"), ("second", fastgrad.ones(1), "as module")],
)
def test_assignment_of_another_type_is_an_error(name, value, match):
    net = Net()
    with pytest.raises(TypeError, match=match):
        setattr(net, name, value)
    with pytest.raises(TypeError, match="as parameter 'weight'"):
        net.first.weight = fastgrad.ones(4, 3)


def test_registering_checks_names():
    net = Net()
    weight = nn.Parameter(fastgrad.ones(1))
    for name in ("", "a.b"):
        with pytest.raises(KeyError, match="can't be empty or contain a dot"):
            net.register_parameter(name, weight)
    with pytest.raises(TypeError, match="should be a string"):
        net.register_buffer(3, weight)
    for taken in ("forward", "first"):
        with pytest.raises(KeyError, match="already exists"):
            net.register_parameter(taken, weight)
    with pytest.raises(ValueError, match="non-leaf"):
        net.register_parameter("w", weight * 2)
    with pytest.raises(TypeError, match="Module or None expected"):
        net.add_module("m", 3)


def test_forgetting_super_init_says_so():
    class Forgetful(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Forgetful()


def test_a_missing_attribute_names_itself_and_its_object():
    net = Net()
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'frist'") as info:
        net.frist  # noqa: B018
    assert (info.value.name, info.value.obj) == ("frist", net)  # what the interpreter's "Did you mean" needs


def test_an_attribute_error_in_a_property_keeps_its_message():
    class WithProperty(nn.Module):
        @property
        def width(self):
            return self.nowhere

    with pytest.raises(AttributeError, match="nowhere"):
        WithProperty().width  # noqa: B018


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="Module"):
        nn.Module()(1)


def test_shared_parameters_come_once_but_twice_in_the_state():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert names(net.named_parameters()) == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    twice = nn.Sequential(net, net)
    assert len(list(twice.modules())) == 4
    assert names(twice.named_children()) == ["0"]


def test_train_eval_apply_and_requires_grad():
    net = nn.Sequential(Net(), nn.Dropout())
    assert net.train() is net
    assert not net.eval()[0].first.training
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")
    order = []
    net.apply(lambda module: order.append(type(module).__name__))
    assert order == ["Linear", "Linear", "Net", "Dropout", "Sequential"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad():
    net = nn.Linear(2, 1)
    net(fastgrad.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.weight.grad.tolist() == [[0.0, 0.0]]
    net.zero_grad()
    assert net.weight.grad is None


def test_conversion_keeps_the_parameters_and_converts_real_numbers_only():
    net = nn.BatchNorm1d(3)
    weight = net.weight
    assert net.double() is net
    assert net.weight is weight
    assert weight.dtype == net.running_mean.dtype == fastgrad.float64
    assert net.num_batches_tracked.dtype == fastgrad.int64
    assert net.to(fastgrad.float32).weight.dtype == fastgrad.float32
    assert net.to("cpu").cpu().float() is net
    with pytest.raises(TypeError, match="floating point"):
        net.to(fastgrad.int64)


def test_lookup_by_dotted_name():
    net = nn.Sequential(Net())
    assert net.get_submodule("0.first") is net[0].first
    assert net.get_submodule("") is net
    assert net.get_parameter("0.first.bias") is net[0].first.bias
    assert net.get_buffer("0.scale") is net[0].scale
    with pytest.raises(AttributeError, match="has no attribute `third`"):
        net.get_submodule("0.third")
    with pytest.raises(AttributeError, match="has no parameter `scale`"):
        net.get_parameter("0.scale")
    with pytest.raises(AttributeError, match="`scale` is not a"):
        net.get_submodule("0.scale")


def test_repr():
    net = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.Sequential(nn.ReLU(), nn.Dropout(0.25))))
    assert repr(net) == (
        "Sequential(\n"
        "  (a): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (b): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Dropout(p=0.25, inplace=False)\n"
        "  )\n"
        ")"
    )


# ---- state -----------------------------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_leaves_out_transient_buffers():
    net = Net()
    state = net.state_dict()
    assert isinstance(state, OrderedDict)
    assert list(state) == ["scale", "first.weight", "first.bias", "second.weight"]
    assert not state["first.weight"].requires_grad
    state["scale"].fill_(5.0)
    assert net.scale.tolist() == [5.0] * 4
    assert net.state_dict(keep_vars=True)["first.weight"] is net.first.weight
    assert list(net.first.state_dict(prefix="p.")) == ["p.weight", "p.bias"]


def test_load_state_dict_copies():
    net, other = Net(), Net()
    assert str(net.load_state_dict(other.state_dict())) == "<All keys matched successfully>"
    x = fastgrad.ones(2, 3)
    assert net(x).tolist() == other(x).tolist()
    assert net.first.weight is not other.first.weight
    assert net.first.weight.requires_grad


def test_load_state_dict_reports_everything_and_changes_nothing():
    net = Net()
    before = net.first.weight.tolist()
    state = Net().state_dict()
    del state["first.bias"]
    state["third"] = fastgrad.ones(1)
    state["second.weight"] = fastgrad.ones(3, 3)
    with pytest.raises(RuntimeError) as info:
        net.load_state_dict(state)
    message = str(info.value)
    assert message.startswith("Error(s) in loading state_dict for Net:")
    assert 'Missing key(s) in state_dict: "first.bias".' in message
    assert 'Unexpected key(s) in state_dict: "third".' in message
    assert "size mismatch for second.weight: copying a param with shape (3, 3)" in message
    assert net.first.weight.tolist() == before
    del state["second.weight"]
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["first.bias", "second.weight"]
    assert result.unexpected_keys == ["third"]
    assert net.first.weight.tolist() == state["first.weight"].tolist()


@pytest.mark.parametrize(("state", "error"), [(3, TypeError), ({"weight": 1, "bias": 2}, RuntimeError)])
def test_load_state_dict_of_something_else(state, error):
    with pytest.raises(error, match=r"(?i)expected"):
        nn.Linear(1, 1).load_state_dict(state)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_copies_are_equal_and_apart(copied):
    net = nn.Sequential(Net(), nn.ReLU())
    x = fastgrad.ones(2, 3)
    y = net(x)
    twin = copied(net)
    assert twin(x).tolist() == y.tolist()
    with fastgrad.no_grad():
        twin[0].first.weight.fill_(0.0)
    assert net(x).tolist() == y.tolist()
    assert names(twin.named_parameters()) == names(net.named_parameters())
    twin[0] = nn.Identity()
    assert twin(x).shape == (2, 3)


def test_a_module_is_freed_without_the_collector():
    gc.disable()
    try:
        net = nn.Sequential(Net(), nn.ReLU())
        net(fastgrad.ones(2, 3)).sum().backward()
        list(net.parameters())
        gone = [weakref.ref(net), weakref.ref(net[0].first.weight)]
        del net
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


# ---- hooks -----------------------------------------------------------------------------------------------------------


def test_forward_hooks_see_and_replace():
    layer = nn.Identity()
    seen = []
    before = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    after = layer.register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    doubling = layer.register_forward_hook(lambda module, args, output: output * 2)
    assert layer(1) == 4
    assert seen == [(2, 2)]
    doubling.remove()
    doubling.remove()
    assert layer(1) == 2
    before.remove()
    with after:
        assert layer(1) == 1
    assert len(seen) == 3
    layer(1)
    assert len(seen) == 3


def test_hooks_with_kwargs_and_order():
    net = Net()
    x = fastgrad.ones(1, 3)
    order = []
    net.register_forward_hook(lambda *_: order.append("second"))
    net.register_forward_hook(lambda *_: order.append("first"), prepend=True)
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {"shift": 10.0}), with_kwargs=True)
    net.register_forward_hook(lambda module, args, kwargs, output: kwargs["shift"], with_kwargs=True)
    assert net(x, shift=1.0) == 10.0
    assert order == ["first", "second"]


def test_a_pre_hook_with_kwargs_must_return_both():
    layer = nn.Identity()
    layer.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"tuple \(args, kwargs\)"):
        layer(1)


def test_hooks_survive_copies():
    net = nn.Sequential(nn.Identity())
    net[0].register_forward_hook(Adder())
    assert net(1) == copy.deepcopy(net)(1) == pickle.loads(pickle.dumps(net))(1) == 2


class Adder:
    def __call__(self, module, args, output):
        return output + 1


def test_a_call_of_its_own_is_kept_inside_sequential():
    class Own(nn.Module):
        def __call__(self, x):
            return 10 * self.forward(x)

        def forward(self, x):
            return x + 1

    assert Own()(1) == nn.Sequential(nn.Identity(), Own())(1) == 20


def test_calls_pass_all_arguments():
    class Echo(nn.Module):
        def forward(self, *args, **kwargs):
            return args, kwargs

    assert Echo()() == ((), {})
    assert Echo()(1) == ((1,), {})
    assert Echo()(1, 2, a=3) == ((1, 2), {"a": 3})
    assert Echo()(1, a=3) == ((1,), {"a": 3})


def test_forward_may_be_replaced():
    net = nn.Sequential(nn.Identity())
    assert net(1) == 1
    net[0].forward = lambda x: x + 1
    assert net(1) == net[0](1) == 2


def test_forward_of_a_class_may_be_replaced_at_any_time():
    # In a process of its own: once a module has had a hook, nothing is looked up in advance.
    code = """
from fastgrad import nn

class Base(nn.Module):
    def forward(self, x):
        return x

class Derived(Base):
    pass

net = nn.Sequential(Base(), Derived())
assert net(1) == net(1) == 1
Base.forward = lambda self, x: x + 1
assert net(1) == 3
Derived.forward = lambda self, x: 10 * x
assert net(1) == net[1](2) == 20
del Derived.forward
assert net(1) == 3
copy = nn.Identity.__new__(nn.Identity)
copy.__setstate__({**nn.Identity().__dict__, "forward": len})
assert nn.Sequential(copy)("abc") == 3
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_a_forward_that_is_left_out_gives_way_to_whatever_replaces_it():
    # In a process of its own: where a module has had a hook, every forward is called.
    code = """
import functools
import fastgrad as fg
from fastgrad import nn

x = fg.tensor([[1.0, -2.0]])
layer, double = nn.Linear(2, 1), nn.Linear(2, 1)
for module in (layer, nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Sequential(layer, nn.Tanh())):
    assert module(x).equal(module.forward(x)), module
    assert nn.Sequential(module, nn.Identity())(x).equal(module(x))
y = x.clone()
assert nn.ReLU(inplace=True)(y) is y and y.tolist() == [[1, 0]]

layer.weight = nn.Parameter(fg.ones(1, 2))
layer.bias = None
assert layer(x).tolist() == [[-1]]

class Derived(nn.Linear):
    def forward(self, input):
        return 2 * super().forward(input)

class Wrapped(nn.Linear):
    forward = functools.wraps(nn.Linear.forward)(lambda self, input: "wrapped")

derived = Derived(2, 1, bias=False)
derived.weight = layer.weight
assert nn.Sequential(derived)(x).tolist() == derived(x).tolist() == [[-2]]
assert Wrapped(2, 1)(x) == "wrapped"

class Computed(nn.Linear):
    pass

computed = Computed(2, 1, bias=False)
computed(x)
Computed.weight = property(lambda self: fg.zeros(1, 2))
assert computed(x).tolist() == [[0]]

del double.bias
try:
    double(x)
except AttributeError as error:
    assert "bias" in str(error)
else:
    raise AssertionError("a missing bias was not noticed")

net = nn.Sequential(layer)
assert net(x).tolist() == [[-1]]
net.append(nn.ReLU())
assert net(x).tolist() == [[0]]
net[0] = nn.Identity()
assert net(x).tolist() == [[1, 0]]
del net[1]
assert net(x) is x and nn.Sequential()(x) is x
layer.forward = lambda input: "its own"
assert layer(x) == nn.Sequential(layer)(x) == "its own"
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_hooks_run_inside_sequential():
    net = nn.Sequential(nn.Identity(), nn.Identity())
    assert net(1) == 1
    net[1].register_forward_hook(lambda module, args, output: output + 1)
    assert net(1) == 2


def test_backward_hooks_see_and_replace():
    layer = nn.Bilinear(2, 2, 1, bias=False)
    with fastgrad.no_grad():
        layer.weight.copy_(fastgrad.eye(2))
    a, b = (fastgrad.tensor(values, requires_grad=True) for values in ([[1.0, 2.0]], [[3.0, 4.0]]))
    seen = []
    handles = [
        layer.register_full_backward_pre_hook(lambda module, grad_output: seen.append(grad_output)),
        layer.register_full_backward_pre_hook(lambda module, grad_output: (2 * grad_output[0],)),
        layer.register_full_backward_hook(
            lambda module, grad_input, grad_output: seen.append((grad_input, grad_output))
        ),
        layer.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0], None)),
    ]
    (3 * layer(a, b)).sum().backward()
    assert [g.tolist() for g in seen[0]] == [[[3.0]]]
    grad_input, grad_output = seen[1]
    assert [g.tolist() for g in grad_input] == [[[18.0, 24.0]], [[6.0, 12.0]]]
    assert grad_output[0].tolist() == [[6.0]]
    assert a.grad.tolist() == [[18.0, 24.0]]
    assert b.grad is None
    assert layer.weight.grad.tolist() == [[[18.0, 24.0], [36.0, 48.0]]]
    for handle in handles:
        handle.remove()
    a.grad = None
    layer(a, b).sum().backward()
    assert len(seen) == 2
    assert a.grad.tolist() == [[3.0, 4.0]]


def test_backward_hooks_of_several_outputs_and_of_inputs_without_gradients():
    class Twice(nn.Module):
        def forward(self, x, factor):
            return x * factor, x + factor

    seen = []
    twice = Twice()
    twice.register_full_backward_hook(lambda module, *grads: seen.append(grads))
    x = fastgrad.ones(2, requires_grad=True)
    y, _ = twice(x, 3.0)
    y.sum().backward()
    (grad_x, grad_factor), (grad_y, grad_z) = seen.pop()
    assert (grad_x.tolist(), grad_factor) == ([3.0, 3.0], None)
    assert (grad_y.tolist(), grad_z) == ([1.0, 1.0], None)
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda module, *grads: seen.append(grads))
    layer(fastgrad.ones(3, 2)).sum().backward()
    grad_input, (grad_output,) = seen.pop()
    assert grad_input == (None,)
    assert grad_output.shape == (3, 1)
    assert layer.weight.grad is not None


def test_backward_hook_errors():
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: (None, None))
    with pytest.raises(RuntimeError, match="returned 2 gradients, but 1 were expected"):
        layer(fastgrad.ones(1, 2, requires_grad=True)).sum().backward()
    silent = nn.Identity()
    silent.register_full_backward_hook(lambda *_: None)
    with pytest.raises(TypeError, match="must return a Tensor or a tuple of Tensors, but got int"):
        silent(1)


# ---- containers ------------------------------------------------------------------------------------------------------


def test_sequential_as_a_list():
    a, b, c, d = (nn.Linear(k + 1, k + 1) for k in range(4))
    net = nn.Sequential(a, b, c)
    assert len(net) == 3
    assert net[0] is a
    assert net[-1] is c
    assert list(net[1:]) == [b, c]
    assert isinstance(net[1:], nn.Sequential)
    net[1] = d
    assert list(net) == [a, d, c]
    del net[0]
    assert names(net.named_children()) == ["0", "1"]
    assert list(net.append(b).insert(0, a)) == [a, d, c, b]
    assert net.pop(-1) is b
    assert list(net.extend([b])) == [a, d, c, b]
    assert list(net + nn.Sequential(nn.Identity()))[:4] == [a, d, c, b]
    del net[1:3]
    assert list(net) == [a, b]
    for wrong in (2, -3):
        with pytest.raises(IndexError, match="out of range for a Sequential of 2"):
            net[wrong]


def test_sequential_follows_every_change():
    net = nn.Sequential(nn.Identity())
    assert net(1) == 1
    assert nn.Sequential()(1) == 1

    class Plus(nn.Module):
        def forward(self, x):
            return x + 1

    net.append(Plus())
    assert net(1) == 2
    net[0] = Plus()
    assert net(1) == 3
    net._modules["1"] = nn.Identity()
    assert net(1) == 2
    net.pop(0)
    assert net(1) == 1
    same = Plus()
    assert nn.Sequential(same, same)(0) == 2


def test_sequential_with_names():
    net = nn.Sequential(OrderedDict(up=nn.Linear(1, 2), down=nn.Linear(2, 1)))
    assert net.up is net[0]
    assert list(net.state_dict()) == ["up.weight", "up.bias", "down.weight", "down.bias"]
    assert list(net[1:].state_dict()) == ["down.weight", "down.bias"]


def test_module_list():
    layers = nn.ModuleList(nn.Linear(k, k) for k in range(1, 4))
    first, second, third = layers
    assert names(layers.named_children()) == ["0", "1", "2"]
    assert list(layers[:2]) == [first, second]
    layers += [nn.Identity()]
    assert len(layers + layers) == 8
    layers[0] = third
    del layers[-1]
    assert list(layers) == [third, second, third]
    assert layers.pop(1) is second
    layers.insert(0, second)
    assert list(layers) == [second, third, third]
    with pytest.raises(NotImplementedError):
        layers(1)
    with pytest.raises(IndexError, match="out of range"):
        layers[3]


def test_module_dict():
    branches = nn.ModuleDict({"left": nn.Linear(1, 1), "right": nn.Linear(2, 2)})
    assert list(branches) == list(branches.keys()) == ["left", "right"]
    assert "left" in branches
    assert "middle" not in branches
    branches["middle"] = nn.Identity()
    assert len(branches) == 3
    assert [type(m).__name__ for m in branches.values()] == ["Linear", "Linear", "Identity"]
    right = branches["right"]
    assert branches.pop("right") is right
    del branches["left"]
    branches.update([("more", nn.ReLU())])
    assert [name for name, _ in branches.items()] == ["middle", "more"]
    branches.clear()
    assert len(branches) == 0
    with pytest.raises(KeyError, match="already exists"):
        branches["keys"] = nn.ReLU()
    with pytest.raises(KeyError):
        branches["gone"]
