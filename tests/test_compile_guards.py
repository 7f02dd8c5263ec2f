"""What a compiled function depends on, changed once its guards are known to hold and are no longer looked at one by one."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from fastgrad._core.plan import Clock, Noted

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import ClearingAtTheEnd, Net, Scale, bits, compiled, inputs, made, same

F = nn.functional


def adam(params):
    return optim.AdamW(params, lr=0.05)


class Frozen(Net):
    """With a layer that gets gradients, and an input scale that gets none."""

    def __init__(self, make=adam):
        super().__init__(make)
        self.scale = fg.ones(3)

    def forward(self, x):
        return super().forward(x * self.scale)


class Clearing(Frozen):
    step = ClearingAtTheEnd.step


class Adding(Frozen):
    """A step that adds to the gradients it finds."""

    def step(self, x, y):
        loss = F.cross_entropy(self(x), y)
        loss.backward()
        return loss


def keep(net):
    net.kept = net.w1.grad


def look(net):
    net.seen = None if net.w1.grad is None else net.w1.grad.numpy()


def halve(net):
    for p in net.parameters():
        p.data = p.data * 0.5


def new_data_of_a_gradient(net):
    if net.w2.grad is not None:
        net.w2.grad.data = net.w2.grad.data.clone()


def other_parameter(net):
    group = net.opt.param_groups[0]
    group["params"] = [p for p in group["params"] if p is not net.b]


def fewer_parameters(net):
    del net.opt.param_groups[0]["params"][-1]


def another_group(net):
    net.scale = nn.Parameter(net.scale)
    net.opt.add_param_group({"params": [net.scale], "lr": 0.1})


def split_groups(net):
    group = net.opt.param_groups[0]
    first, *others = group["params"]
    net.opt.param_groups = [{**group, "params": [first], "lr": 0.3}, {**group, "params": others}]


def exchanged_group(net):
    net.opt.param_groups[0] = {**net.opt.param_groups[0], "lr": 0.3}


def eager_step(net):
    net.step(inputs(50), fg.tensor([0, 1, 1, 0]))


def gradient_that_needs_one(net):
    if net.w1.grad is not None:
        net.w1.grad.requires_grad_()


def eager_backward(net):
    """Adds to .grad, or fills it."""
    net(inputs(50)).sum().backward()


def recorded_backward(net):
    """Puts other tensors into .grad."""
    net(inputs(50)).sum().backward(create_graph=True)


def written_by_what_needs_a_gradient(net):
    net.scale *= net.w2.sum()
    net.scale = net.scale.detach()


CHANGES = {
    "a rate": lambda net: net.opt.param_groups[0].update(lr=0.2),
    "a rate, by |=": lambda net: net.opt.param_groups[0].__ior__({"lr": 0.2}),
    "betas": lambda net: net.opt.param_groups[0].__setitem__("betas", (0.5, 0.9)),
    "amsgrad": lambda net: net.opt.param_groups[0].__setitem__("amsgrad", True),
    "a group's list of parameters": other_parameter,
    "a group's list, in place": fewer_parameters,
    "a group more": another_group,
    "all groups": split_groups,
    "a group exchanged for a plain dictionary": exchanged_group,
    "state": lambda net: net.opt.state[net.w1].__setitem__("exp_avg", fg.ones_like(net.w1)),
    "state that is gone": lambda net: net.opt.state[net.w1].__delitem__("exp_avg") if net.opt.state[net.w1] else None,
    "all state": lambda net: setattr(net.opt, "state", {}),
    "loaded state": lambda net: net.opt.load_state_dict(copy.deepcopy(net.opt.state_dict())),
    "data": halve,
    "a frozen parameter": lambda net: net.b.requires_grad_(False),
    "a parameter that was replaced": lambda net: setattr(net, "b", nn.Parameter(fg.ones(5))),
    "a tensor that was replaced": lambda net: setattr(net, "scale", fg.full((3,), 2.0)),
    "a tensor that needs a gradient now": lambda net: net.scale.requires_grad_(),
    "gradients that are gone": lambda net: net.opt.zero_grad(),
    "a gradient that is gone": lambda net: setattr(net.w1, "grad", None),
    "a gradient that was assigned": lambda net: setattr(net.w1, "grad", fg.ones_like(net.w1)),
    "a gradient somebody keeps": keep,
    "a gradient somebody looks at": look,
    "a gradient with other memory": new_data_of_a_gradient,
    "a gradient that requires grad": gradient_that_needs_one,
    "an eager step": eager_step,
    "an eager backward run": eager_backward,
    "a recorded backward run": recorded_backward,
    "a tensor that is written and replaced": written_by_what_needs_a_gradient,
    "evaluation": lambda net: net.eval(),
}


@pytest.mark.parametrize("kind", [Frozen, Clearing, Adding])
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed_whenever_it_comes(what, kind):
    def change(i, net):
        if i in (9, 16):
            CHANGES[what](net)

    step, _ = same(made(kind), calls=24, between=change, need=8)
    assert step.replays + step.records == 24


@pytest.mark.parametrize("what", ["a group's list, in place", "a group more", "all groups"])
def test_a_run_notices_it_too(what):
    def trained(run):
        net, step = made(Frozen)()
        step = compiled(step) if run else step
        x, y = fg.cat([inputs(i) for i in range(8)]), fg.arange(32) % 2

        def change(now):
            if now.step == 6:
                CHANGES[what](net)

        if run:
            step.run((x, y), batch_size=4, epochs=2, callback=change, every=3)
        else:
            for i in range(16):
                step(x[i % 8 * 4 : i % 8 * 4 + 4], y[i % 8 * 4 : i % 8 * 4 + 4])
                if i == 5:
                    CHANGES[what](net)
        return net.watch()

    assert bits(trained(True)) == bits(trained(False))


def test_grad_mode_and_the_default_dtype_are_noticed():
    w = nn.Parameter(fg.ones(3))

    def function(x):
        return (x * w).detach().sum() + fg.ones(1), fg.is_grad_enabled(), (x * w).requires_grad

    f = compiled(function)
    modes = [fg.no_grad, fg.enable_grad, fg.inference_mode]
    try:
        for i in range(32):
            if i == 24:
                fg.set_default_dtype(fg.float64)
            with modes[i // 4 % 3]():
                assert bits(f(inputs(i))) == bits(function(inputs(i)))
    finally:
        fg.set_default_dtype(fg.float32)
    assert f.replays >= 8


def test_a_tensor_that_gets_a_history_is_noticed():
    scale, w = fg.ones(3), nn.Parameter(fg.full((3,), 2.0))
    f = compiled(lambda x: (x * scale).detach())
    for i in range(6):
        assert bits(f(inputs(i))) == bits(inputs(i))
    scale.mul_(w)
    with pytest.raises(fg.CompileError, match="has a history"):
        f(inputs(6))


def test_a_tensor_from_outside_that_died_is_noticed():
    box = [fg.ones(3)]
    f = compiled(lambda x: x * box[0])
    for i in range(8):
        f(inputs(i))
    alive = weakref.ref(box[0])
    box[0] = fg.full((3,), 2.0)
    assert alive() is None
    for i in range(8):
        assert bits(f(inputs(i))) == bits(inputs(i) * 2)
    assert len(f.programs) == 1


def test_arguments_elsewhere_and_into_what_is_written():
    w = fg.zeros(8)

    def add(x):
        w[:4] += x

    f = compiled(add)
    v = fg.arange(8.0)
    for part in (v[:4], v[4:], v[:4], v[2:6], w[4:], w[4:], v[:4], w[:4], w[2:6], v[4:]) * 2:
        before, x = w.clone(), part.clone()
        f(part)
        assert bits(w) == bits(fg.cat([before[:4] + x, before[4:]]))


def test_two_programs_of_one_net_take_turns():
    net, other = Net(), Net()
    step = compiled(net.step)
    for i in range(24):
        n = 4 if i % 3 else 2
        x, y = inputs(i, n), fg.arange(n) % 2
        assert bits(step(x, y)) == bits(other.step(x, y))
        assert bits(net.watch()) == bits(other.watch())
    assert len(step.programs) == 2 and step.replays >= 16


# ---- how it is called ------------------------------------------------------------------------------------------------


def test_keywords_defaults_and_stars():
    one, two, ones = inputs(1), inputs(2), fg.ones(1)

    @fg.compile
    def f(x, *more, scale=ones, **options):
        for m in more:
            x = x + m
        return x * scale + options.get("shift", 0)

    for _ in range(5):
        assert bits(f(one)) == bits(one * 1 + 0)
        assert bits(f(one, two)) == bits((one + two) * 1 + 0)
        assert bits(f(one, two, scale=two)) == bits((one + two) * two + 0)
        assert bits(f(one, shift=two)) == bits(one * 1 + two)
        assert bits(f(x=one, shift=3)) == bits(one * 1 + 3)
    assert f.replays == 15 and f.records == 10


def test_keyword_arguments_are_not_a_tuple_and_a_dictionary():
    @fg.compile
    def f(x, options=None, y=None):
        return x[0] * 2 if options is not None else x * y

    one, two = inputs(1), inputs(2)
    for _ in range(5):
        assert bits(f(one, y=two)) == bits(one * two)
        assert bits(f((one,), {"y": two})) == bits(one * 2)


def test_as_many_arguments_as_one_likes():
    f = compiled(lambda *xs: sum(xs[1:], xs[0]))
    for n in (1, 15, 16, 17, 40):
        for i in range(6):
            xs = [inputs(i + k) for k in range(n)]
            assert bits(f(*xs)) == bits(sum(xs[1:], xs[0]))
    assert f.replays == 20


def test_wrong_arguments_raise_what_the_function_raises():
    f = fg.compile(lambda x: x * 2)
    for _ in range(6):
        f(fg.ones(2))
    for _ in range(2):
        with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
            f(fg.ones(2), fg.ones(2))
        with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
            f(fg.ones(2), y=1)
    assert bits(f(fg.ones(2))) == bits(fg.full((2,), 2.0))


def test_a_method_of_each_object():
    class Model(Scale):
        scaled = fg.compile(Scale.scaled.function)

    a, b = Model(2), Model(3)
    bound = b.scaled
    for i in range(6):
        assert bits(a.scaled(inputs(i))) == bits(inputs(i) * 2)
        assert bits(bound(inputs(i))) == bits(Model.scaled(b, inputs(i))) == bits(inputs(i) * 3)
    assert Model.scaled.replays == 18 - 4
    kept = weakref.ref(b)
    del b, bound
    gc.collect()
    assert kept() is None


def test_a_function_passed_on_is_called_alike():
    f = fg.compile(lambda x: x * 2)
    for i in range(6):
        assert bits(list(map(f, [inputs(i)]))) == bits([inputs(i) * 2])
        assert bits(f.__call__(inputs(i))) == bits(inputs(i) * 2)
        assert bits(f(*(inputs(i),))) == bits(inputs(i) * 2)
    assert f.replays == 16


def test_tensors_that_results_share_memory_with_are_not_kept():
    f = fg.compile(lambda x: (x * 2, [x + 1]))
    for i in range(6):
        double, (more,) = f(inputs(i))
        kept = weakref.ref(double), weakref.ref(more)
        del double, more
        assert [k() for k in kept] == [None, None]


def test_a_rate_that_is_set_to_what_it_was_is_no_change():
    class Setting(Net):
        def step(self, x, y):
            self.opt.param_groups[0]["lr"] = 0.1
            return super().step(x, y)

    same(made(Setting), records=3)


# ---- the dictionaries of an optimiser ----------------------------------------------------------------------------------


def test_groups_that_are_assigned_are_the_list_that_was_given():
    net = Net(adam)
    groups = [{**group} for group in net.opt.param_groups]
    net.opt.param_groups = groups
    assert net.opt.param_groups is groups
    groups[0]["lr"] = 0.0
    before = bits(net.w1)
    net.step(inputs(0), fg.tensor([0, 1, 0, 1]))
    assert bits(net.w1) == before


def test_groups_are_dictionaries():
    net = Net(adam)
    group = net.opt.param_groups[0]
    assert isinstance(group, dict) and repr(group) == repr(dict(group)) and {**group} == group
    plain = copy.copy(group)
    plain["lr"] = 0.5
    assert group["lr"] == 0.05
    loaded = pickle.loads(pickle.dumps(net.opt))
    assert {**loaded.param_groups[0], "params": 0} == {**group, "params": 0}


@pytest.mark.parametrize(
    "write",
    [
        lambda d: d.__setitem__("a", 1),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"a": 1}),
        lambda d: d.clear(),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.setdefault("b", 1),
        lambda d: d.update(a=1),
    ],
)
def test_every_write_into_a_dictionary_of_an_optimiser_is_noted(write):
    noted, plain = Noted(Clock()), {"a": 0}
    noted.update(plain)
    before = noted.clock.time
    write(noted), write(plain)
    assert noted.clock.time > before and noted == plain


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_the_groups_of_a_copied_optimiser_are_noted_too(copied):
    net = Net(adam)
    net.step(inputs(0), fg.tensor([0, 1, 0, 1]))
    net.other, net.optimizer = copied((net.w1, net.opt))
    for optimizer, w in ((net.opt, net.w1), (net.optimizer, net.other)):
        for lr in (0.1, 0.0, 0.2):
            optimizer.param_groups[0]["lr"] = lr
            before = w.detach().numpy().copy()
            w.grad = fg.ones_like(w)
            optimizer.step()
            assert np.array_equal(before, w.detach().numpy()) == (lr == 0)
