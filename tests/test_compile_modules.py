"""Modules in a compiled function: hooks, modes, what is shared, replaced, copied or made inside."""

import copy
import gc
import weakref

import pytest

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import bits, compiled, inputs, labels, made, refused, same

F = nn.functional


class Trained(nn.Module):
    """A net that is trained; subclasses and options change one thing."""

    def __init__(self, *between, make=lambda ps: optim.AdamW(ps, lr=0.01)):
        super().__init__()
        fg.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(3, 8), *[each() for each in between], nn.Tanh(), nn.Linear(8, 2))
        self.opt = make(list(self.net.parameters()))
        self.stream = fg.get_rng_state()
        self.handles = []

    def trained(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self.net(x), y)
        loss.backward()
        self.opt.step()
        return loss

    def watch(self):
        return [*self.net.state_dict().values(), *[p.grad for p in self.net.parameters()]]


def trains(make, between=None, calls=14, need=3, args=lambda i: (inputs(i), labels(i))):
    """Compiled against eager, each on a stream of random numbers of its own; returns the compiled function."""
    pair = [make(), make()]
    h = compiled(pair[1].trained)
    for i in range(calls):
        results = []
        for net, function in zip(pair, (pair[0].trained, h), strict=True):
            fg.set_rng_state(net.stream)
            if between is not None:
                between(i, net)
            results.append(bits(function(*args(i))))
            net.stream = fg.get_rng_state()
        assert results[0] == results[1], i
        assert bits(pair[0].watch()) == bits(pair[1].watch()), i
        assert bits(pair[0].stream) == bits(pair[1].stream), i
    assert h.replays >= need, (h.records, h.why)
    return h


# ---- hooks --------------------------------------------------------------------------------------------------------------

HOOKS = {
    "before": lambda net: net[0].register_forward_pre_hook(lambda module, args: (args[0] * 0.5,)),
    "after": lambda net: net[0].register_forward_hook(lambda module, args, y: y * 0.5),
    "before backward": lambda net: net[1].register_full_backward_pre_hook(lambda module, gs: (gs[0] * 0.5,)),
    "after backward": lambda net: net[1].register_full_backward_hook(lambda module, gs, ys: (gs[0] * 0.5,)),
    "of a parameter": lambda net: net[0].weight.register_hook(lambda g: g * 0.5),
}


@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_a_hook_is_part_of_the_program_from_when_it_is_registered_until_it_is_removed(register):
    def between(i, net):
        if i == 5:
            net.handles.append(register(net.net))
        if i == 10:
            net.handles.pop().remove()

    h = trains(Trained, between, calls=16, need=9)
    assert h.records == 5  # two more while the hook was there; without it the first program holds again


def test_a_hook_that_keeps_what_it_sees_is_refused_by_name():
    net = Trained()
    net.net[0].register_forward_hook(lambda module, args, y: setattr(module, "seen", y.detach()))
    refused(net.trained, "attribute of a module, seen,", args=lambda i: (inputs(i), labels(i)))


# ---- modes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [lambda: nn.BatchNorm1d(8), lambda: nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_train_and_eval_at_every_other_call_are_two_programs(layer):
    h = trains(lambda: Trained(layer), lambda i, net: net.net.train(i % 2 == 0), need=9)
    assert len(h.programs) == 2
    # One layer alone in another mode is another program too.
    h = trains(lambda: Trained(layer), lambda i, net: net.net[1].train(i % 3 == 0), calls=21, need=12)
    assert len(h.programs) == 2


def test_a_mode_that_the_function_itself_changes_is_refused():
    net = Trained(lambda: nn.Dropout(0.5))

    def f(x):
        net.net.eval()
        y = net.net(x).detach()
        net.net.train()
        return y

    refused(f, "an attribute of a module, training,")


def test_attributes_of_layers_that_change_are_recorded_again():
    def between(i, net):
        if i == 6:
            net.net[1].p = 0.1
        if i == 10:
            net.net[2] = nn.ReLU()

    trains(lambda: Trained(lambda: nn.Dropout(0.5)), between, need=6)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.BatchNorm1d(8, affine=False),
        lambda: nn.BatchNorm1d(8, track_running_stats=False),
        lambda: nn.LayerNorm(8),
        lambda: nn.Dropout(0.5),
        lambda: nn.GELU(),
    ],
)
def test_layers_while_the_generator_is_seeded_and_drawn_from_outside(layer):
    def between(i, net):
        if i % 3 == 0:
            fg.manual_seed(i)
        if i % 4 == 0:
            fg.rand(3)

    trains(lambda: Trained(layer), between, need=9)


# ---- parameters -----------------------------------------------------------------------------------------------------------


class Tied(Trained):
    def __init__(self, tie):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
        if tie:
            self.net[2].weight = self.net[0].weight
        self.opt = optim.AdamW(self.net.parameters(), lr=0.01)


def test_weights_that_are_tied():
    trains(lambda: Tied(True), need=11)


def test_weights_that_become_tied():
    def between(i, net):
        if i == 7:
            net.net[2].weight = net.net[0].weight

    trains(lambda: Tied(False), between, need=6)


def test_layers_frozen_for_a_while():
    h = trains(Trained, lambda i, net: net.net[0].requires_grad_(not 6 <= i < 10), calls=18, need=8)
    assert len(h.programs) >= 2


def test_a_copy_of_a_net_is_another_net():
    nets = [Trained().net.requires_grad_(False)]
    h = compiled(lambda x: nets[0](x))
    for i in range(5):
        assert bits(h(inputs(i))) == bits(nets[0](inputs(i)))
    nets[0] = copy.deepcopy(nets[0])  # the first is gone
    nets[0][0].weight.mul_(2.0)
    for i in range(5):
        assert bits(h(inputs(i))) == bits(nets[0](inputs(i)))
    assert h.replays == 6


def test_nets_of_several_objects_with_one_compiled_method():
    class Model(nn.Module):
        def __init__(self, seed):
            super().__init__()
            fg.manual_seed(seed)
            self.inner = nn.Linear(3, 2).requires_grad_(False)

        @fg.compile
        def forward(self, x):
            return self.inner(x)

    a, b = Model(0), Model(1)
    for i in range(6):
        for each in (a, b, copy.deepcopy(a)):
            assert bits(each(inputs(i))) == bits(each.inner(inputs(i)))
    gone = weakref.ref(b)
    del b, each
    gc.collect()
    assert gone() is None


# ---- modules made inside ------------------------------------------------------------------------------------------------


def test_a_loss_or_an_activation_made_inside_is_no_reason_to_record_again():
    class Inside(Trained):
        def trained(self, x, y):
            self.opt.zero_grad()
            loss = nn.CrossEntropyLoss()(nn.Sequential(nn.Softplus(beta=2), nn.Identity())(self.net(x)), y)
            loss.backward()
            self.opt.step()
            return loss

    assert trains(Inside).records == 3


def test_a_module_made_inside_may_differ_from_call_to_call():
    slopes = [0.1, 0.2]
    refused(
        lambda x: nn.LeakyReLU(slopes.append(slopes[0] + slopes[-1]) or slopes[-1])(x), "leaky_relu at test_compile"
    )


def test_an_attribute_that_each_call_changes_is_named():
    class Counting(nn.Module):
        def forward(self, x):
            self.calls = getattr(self, "calls", 0) + 1
            return x * 2

    refused(Counting(), "attribute of a module, calls, differs from call to call")


def test_a_module_as_the_function():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            fg.manual_seed(0)
            self.inner = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).requires_grad_(False)
            self.step = self.inner

        def watch(self):
            return list(self.inner.state_dict().values())

    fg.manual_seed(1)
    net = Net()
    h = compiled(net.inner.eval())
    for i in range(6):
        assert bits(h(inputs(i))) == bits(net.inner(inputs(i)))
    assert h.replays == 4
    same(made(lambda: _Evaluating(net.inner)), args=lambda i: (inputs(i),), need=10)


class _Evaluating:
    def __init__(self, net):
        self.net = net

    def step(self, x):
        return self.net(x)

    def watch(self):
        return list(self.net.state_dict().values())


def test_layers_with_parameters_made_inside_are_made_anew_in_each_replay():
    def f(x):
        inner = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        return inner(x).detach(), inner[1].running_mean

    h = compiled(f)
    results = []
    for function in (f, h):
        fg.manual_seed(0)
        results.append([bits(function(inputs(i))) for i in range(6)])
    assert results[0] == results[1]
    assert h.replays == 4
