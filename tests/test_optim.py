"""Optimisers against the published formulas in NumPy, groups, state, schedules."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastgrad
from fastgrad import nn, optim
from fastgrad.optim import lr_scheduler

STEPS = 100
SHAPES = [(3, 2), (4,), ()]


def starts():
    rng = np.random.default_rng(0)
    return [np.asarray(rng.normal(size=shape)) for shape in SHAPES]


def gradient(step, k):
    """The gradient of parameter k at a step: the same numbers for fastgrad and the formulas."""
    return np.asarray(np.random.default_rng([step, k]).normal(size=SHAPES[k]))


def parameters(dtype=fastgrad.float64):
    return [nn.Parameter(fastgrad.tensor(start, dtype=dtype)) for start in starts()]


def set_gradients(params, step):
    for k, parameter in enumerate(params):
        parameter.grad = fastgrad.tensor(gradient(step, k), dtype=parameter.dtype)


# ---- the formulas ----------------------------------------------------------------------------------------------------


def sgd(p, k, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    b = None
    for step in range(STEPS):
        g = gradient(step, k) * (-1 if maximize else 1) + weight_decay * p
        if momentum:
            b = g if b is None else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        p = p - lr * g
    return p


def adam(p, k, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False, decoupled=False):
    m = v = largest = np.zeros_like(p)
    for step in range(STEPS):
        g = gradient(step, k) * (-1 if maximize else 1)
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        t = step + 1
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        root = np.sqrt((largest if amsgrad else v) / (1 - betas[1] ** t))
        p = p - lr * m / (1 - betas[0] ** t) / (root + eps)
    return p


def adamw(p, k, weight_decay=1e-2, **kwargs):
    return adam(p, k, weight_decay=weight_decay, decoupled=True, **kwargs)


CASES = [
    (optim.SGD, sgd, {}),
    (optim.SGD, sgd, {"lr": 0.05, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9}),
    (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.5, "maximize": True}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    (optim.Adam, adam, {"lr": 0.02, "amsgrad": True, "betas": (0.8, 0.5)}),
    (optim.Adam, adam, {"lr": 0.02, "maximize": True}),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]
EACH = pytest.mark.parametrize(
    ("make", "formula", "kwargs"), CASES, ids=[" ".join([make.__name__, *kwargs]) for make, _, kwargs in CASES]
)


@EACH
def test_formula(make, formula, kwargs):
    params = parameters()
    optimizer = make(params, **kwargs)
    for step in range(STEPS):
        set_gradients(params, step)
        assert optimizer.step() is None
    for k, (parameter, start) in enumerate(zip(params, starts(), strict=True)):
        np.testing.assert_allclose(parameter.detach().numpy(), formula(start, k, **kwargs), rtol=1e-12, atol=1e-14)


@EACH
def test_float32_follows_the_formula(make, formula, kwargs):
    params = parameters(fastgrad.float32)
    optimizer = make(params, **kwargs)
    for step in range(STEPS):
        set_gradients(params, step)
        optimizer.step()
    for k, (parameter, start) in enumerate(zip(params, starts(), strict=True)):
        assert parameter.dtype == fastgrad.float32
        np.testing.assert_allclose(parameter.detach().numpy(), formula(start, k, **kwargs), rtol=2e-3, atol=1e-4)


@EACH
def test_saved_and_loaded_in_between(make, formula, kwargs):
    params = parameters()
    optimizer = make(params, **kwargs)
    for step in range(STEPS):
        if step in (30, 60):
            state = copy.deepcopy(optimizer.state_dict())
            assert all(type(key) is int for key in state["state"])
            optimizer = make(params)
            optimizer.load_state_dict(state)
        set_gradients(params, step)
        optimizer.step()
    for k, (parameter, start) in enumerate(zip(params, starts(), strict=True)):
        np.testing.assert_allclose(parameter.detach().numpy(), formula(start, k, **kwargs), rtol=1e-12, atol=1e-14)


@EACH
def test_groups_and_parameters_without_gradients(make, formula, kwargs):
    params = parameters()
    idle = nn.Parameter(fastgrad.ones(2))
    optimizer = make([{"params": params[:1]}, {"params": [idle, *params[1:]], "lr": 0.03}], **kwargs)
    for step in range(STEPS):
        set_gradients(params, step)
        optimizer.step()
    for k, (parameter, start) in enumerate(zip(params, starts(), strict=True)):
        lr = {} if k == 0 else {"lr": 0.03}
        expected = formula(start, k, **{**kwargs, **lr})
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    assert idle.tolist() == [1.0, 1.0]
    assert idle not in optimizer.state


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, momentum=0.9), optim.AdamW])
def test_a_late_parameter_takes_its_first_step_late(make):
    early, late = (nn.Parameter(fastgrad.ones(1)) for _ in range(2))
    optimizer = make([early, late])
    early.grad = fastgrad.ones(1)
    for _ in range(3):
        optimizer.step()
    alone = nn.Parameter(fastgrad.ones(1))
    alone.grad = fastgrad.ones(1)
    late.grad = fastgrad.ones(1)
    reference = make([alone])
    reference.step()
    optimizer.step()
    assert late.tolist() == alone.tolist()
    assert early.item() < late.item()


# ---- what users change between steps ---------------------------------------------------------------------------------


def one(make, **kwargs):
    parameter = nn.Parameter(fastgrad.ones(1, dtype=fastgrad.float64))
    parameter.grad = fastgrad.ones(1, dtype=fastgrad.float64)
    return parameter, make([parameter], **kwargs)


def test_hyperparameters_hold_from_the_next_step():
    parameter, optimizer = one(optim.SGD, lr=0.5)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.125
    optimizer.step()
    assert parameter.item() == 1 - 0.5 - 0.125


def test_the_rate_may_be_a_tensor_that_changes_in_place():
    rate = fastgrad.tensor(0.5)
    parameter, optimizer = one(optim.SGD, lr=rate)
    optimizer.step()
    rate.fill_(0.125)
    optimizer.step()
    assert parameter.item() == 1 - 0.5 - 0.125


def test_betas_may_be_a_list_that_changes_in_place():
    (a, first), (b, second) = (one(optim.Adam, betas=betas) for betas in ([0.9, 0.999], (0.9, 0.999)))
    for optimizer in (first, second):
        optimizer.step()
    first.param_groups[0]["betas"][0] = 0.1
    second.param_groups[0]["betas"] = (0.1, 0.999)
    for optimizer, parameter in ((first, a), (second, b)):
        parameter.grad.fill_(-1.0)
        optimizer.step()
    assert a.item() == b.item()


@pytest.mark.parametrize(
    "forget",
    [
        lambda optimizer, p: optimizer.state.clear(),
        lambda optimizer, p: optimizer.state.pop(p),
        lambda optimizer, p: optimizer.state[p].update(momentum_buffer=fastgrad.zeros(1, dtype=fastgrad.float64)),
        lambda optimizer, p: optimizer.state[p].__setitem__("momentum_buffer", 0 * p.detach()),
        lambda optimizer, p: optimizer.state.update({p: {"momentum_buffer": 0 * p.detach()}}),
        lambda optimizer, p: setattr(optimizer, "state", {}),
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_state_written_by_the_user_holds(forget, steps):
    parameter, optimizer = one(optim.SGD, lr=1.0, momentum=0.5)
    for _ in range(steps):
        optimizer.step()
    before = parameter.item()
    forget(optimizer, parameter)
    optimizer.step()
    assert parameter.item() == before - 1


def test_a_parameter_exchanged_in_its_group_starts_anew():
    parameter, optimizer = one(optim.SGD, lr=1.0, momentum=0.5)
    optimizer.step()
    other = nn.Parameter(fastgrad.zeros(1, dtype=fastgrad.float64))
    other.grad = fastgrad.ones(1, dtype=fastgrad.float64)
    optimizer.param_groups[0]["params"][0] = other
    optimizer.step()
    assert (parameter.item(), other.item()) == (0.0, -1.0)


def test_momentum_may_be_switched_on_and_amsgrad_too():
    parameter, optimizer = one(optim.SGD, lr=1.0)
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.step()
    optimizer.step()
    assert parameter.item() == 1 - 1 - 1 - 1.5
    parameter, optimizer = one(optim.Adam)
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.step()
    assert optimizer.state[parameter]["max_exp_avg_sq"].item() > 0


def test_a_group_added_later():
    parameter, optimizer = one(optim.SGD, lr=0.5)
    optimizer.step()
    other = nn.Parameter(fastgrad.ones(1))
    other.grad = fastgrad.ones(1)
    optimizer.add_param_group({"params": other, "lr": 0.25})
    optimizer.step()
    assert (parameter.item(), other.item()) == (0.0, 0.75)
    assert optimizer.param_groups[1]["momentum"] == 0


# ---- the rest of the interface ---------------------------------------------------------------------------------------


def test_closure_runs_with_gradients_and_its_value_is_returned():
    parameter = nn.Parameter(fastgrad.ones(1))
    optimizer = optim.SGD([parameter], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    with fastgrad.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert parameter.item() == 0.0


def test_zero_grad():
    parameter, optimizer = one(optim.SGD)
    optimizer.zero_grad(set_to_none=False)
    assert parameter.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert parameter.grad is None
    optimizer.step()
    assert parameter.item() == 1.0


def test_a_step_is_not_recorded():
    parameter, optimizer = one(optim.AdamW)
    optimizer.step()
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert not optimizer.state[parameter]["exp_avg"].requires_grad


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW])
def test_arguments_that_choose_an_implementation_are_accepted(make):
    parameter, optimizer = one(make, foreach=True, fused=False)
    optimizer.step()
    assert parameter.item() < 1


def test_constructor_errors():
    parameter = nn.Parameter(fastgrad.ones(1))
    with pytest.raises(TypeError, match="iterable of Tensors or dicts"):
        optim.SGD(parameter)
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([])
    with pytest.raises(TypeError, match="one of the params is int"):
        optim.SGD([1])
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([parameter * 2])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": parameter}, {"params": [parameter]}])
    with pytest.raises(ValueError, match="more than once"):
        optim.SGD([parameter, parameter])
    with pytest.raises(TypeError, match="got a set"):
        optim.SGD([{"params": {parameter}}])
    with pytest.raises(TypeError, match="must be a dict"):
        optim.SGD([parameter]).add_param_group([parameter])


@pytest.mark.parametrize(
    ("make", "kwargs"),
    [
        (optim.SGD, {"lr": -1.0}),
        (optim.SGD, {"lr": math.nan}),
        (optim.SGD, {"momentum": -0.1}),
        (optim.SGD, {"weight_decay": -0.1}),
        (optim.SGD, {"nesterov": True}),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        (optim.Adam, {"eps": -1.0}),
        (optim.Adam, {"betas": (1.0, 0.9)}),
        (optim.AdamW, {"betas": (0.9, -0.1)}),
        (optim.AdamW, {"weight_decay": -0.1}),
    ],
)
def test_hyperparameters_out_of_range(make, kwargs):
    with pytest.raises(ValueError, match=r"(Invalid|requires)"):
        make([nn.Parameter(fastgrad.ones(1))], **kwargs)


def test_load_state_dict_checks_the_groups():
    _, optimizer = one(optim.SGD)
    a, b = (nn.Parameter(fastgrad.ones(1)) for _ in range(2))
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(optim.SGD([{"params": a}, {"params": b}]).state_dict())
    with pytest.raises(ValueError, match="2 parameters in group 0"):
        optimizer.load_state_dict(optim.SGD([a, b]).state_dict())


def test_loaded_state_has_the_dtype_of_its_parameter_and_its_own_memory():
    parameter, optimizer = one(optim.Adam)
    optimizer.step()
    single = nn.Parameter(fastgrad.ones(1))
    other = optim.Adam([single])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[single]["exp_avg"].dtype == fastgrad.float32
    assert other.state[single]["step"].dtype == fastgrad.float32
    other.state[single]["exp_avg"].fill_(9.0)
    assert optimizer.state[parameter]["exp_avg"].item() != 9.0


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
def test_a_copied_pair_of_network_and_optimiser_trains_apart(copied):
    def step(net, optimizer):
        optimizer.zero_grad()
        net(fastgrad.ones(4, 2)).square().sum().backward()
        optimizer.step()

    fastgrad.manual_seed(0)
    net = nn.Linear(2, 1)
    pair = (net, optim.AdamW(net.parameters(), lr=0.1))
    step(*pair)
    twin = copied(pair)
    assert next(iter(twin[1].state)) is twin[0].weight
    before = net.weight.tolist()
    step(*twin)
    assert net.weight.tolist() == before
    step(*pair)
    assert net.weight.tolist() == twin[0].weight.tolist() != before


def test_repr():
    assert repr(optim.SGD([nn.Parameter(fastgrad.ones(1))], lr=0.5)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.5\n    maximize: False\n    momentum: 0\n"
        "    nesterov: False\n    weight_decay: 0\n)"
    )


# ---- schedules -------------------------------------------------------------------------------------------------------


def rates(make, steps=25, lr=0.4):
    _, optimizer = one(optim.SGD, lr=lr)
    scheduler = make(optimizer)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        assert scheduler.get_last_lr() == seen[-1:]
        optimizer.step()
        scheduler.step()
    return seen


def test_step_lr():
    expected = [0.4 * 0.5 ** (t // 3) for t in range(25)]
    assert rates(lambda o: lr_scheduler.StepLR(o, 3, 0.5)) == pytest.approx(expected, rel=1e-14)


def test_cosine_annealing_lr():
    """The closed form, also past T_max, where the rate rises again."""
    expected = [0.1 + 0.3 * (1 + math.cos(math.pi * t / 10)) / 2 for t in range(25)]
    assert rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 10, 0.1)) == pytest.approx(expected, rel=1e-12)


def test_lambda_lr():
    assert rates(lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.9**t)) == [0.4 * 0.9**t for t in range(25)]


def test_lambda_lr_of_several_groups():
    a, b = (nn.Parameter(fastgrad.ones(1)) for _ in range(2))
    optimizer = optim.SGD([{"params": a}, {"params": b, "lr": 0.5}], lr=0.25)
    scheduler = lr_scheduler.LambdaLR(optimizer, [lambda t: 2.0**-t, lambda t: 1.0])
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.125, 0.5]
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        lr_scheduler.LambdaLR(optimizer, [lambda t: 1.0])


class Factor:
    def __init__(self):
        self.base = 0.5

    def __call__(self, t):
        return self.base**t


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.StepLR(o, 3, 0.5),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
        lambda o: lr_scheduler.LambdaLR(o, Factor()),
        lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
    ],
    ids=["step", "cosine", "callable", "function"],
)
def test_a_schedule_resumes(make):
    straight = rates(make)
    _, optimizer = one(optim.SGD, lr=0.4)
    scheduler = make(optimizer)
    seen = []
    for t in range(25):
        if t == 7:
            saved = scheduler.state_dict(), optimizer.state_dict()
            assert "optimizer" not in saved[0]
            _, optimizer = one(optim.SGD, lr=0.4)
            scheduler = make(optimizer)
            optimizer.load_state_dict(saved[1])
            scheduler.load_state_dict(saved[0])
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == straight


def test_schedules_compound():
    _, optimizer = one(optim.SGD, lr=1.0)
    schedulers = [lr_scheduler.StepLR(optimizer, 2, 0.5), lr_scheduler.StepLR(optimizer, 3, 0.1)]
    for _ in range(6):
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5**3 * 0.1**2)


def test_scheduler_errors():
    _, optimizer = one(optim.SGD)
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(3, 1)
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer, 1, last_epoch=3)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        scheduler.step()


# ---- what the native step refuses ------------------------------------------------------------------------------------


def _parameter():
    p = fastgrad.ones(4, requires_grad=True)
    p.sum().backward()
    return p


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ((), "expected 1 lists of state"),
        (([fastgrad.zeros(3)],), "state of parameter 0 is float32 of shape"),
        (([fastgrad.zeros(4, dtype=fastgrad.float64)],), "state of parameter 0 is float64"),
        (([fastgrad.zeros(4), fastgrad.zeros(4)],), "must be a list of 1 entries"),
    ],
)
def test_a_native_step_refuses_states_that_do_not_fit(states, message):
    p = _parameter()
    hyper = fastgrad.tensor([0.1, 0.9, 0.0, 0.0, 0.0, 0.0], dtype=fastgrad.float64)
    with pytest.raises(ValueError, match=message):
        fastgrad._core.multi_step("sgd_momentum_", hyper, [p], *states)
    assert p.tolist() == [1.0] * 4


def test_a_native_step_refuses_hyperparameters_that_do_not_fit():
    p = _parameter()
    for hyper in (fastgrad.tensor([0.1], dtype=fastgrad.float64), fastgrad.tensor([0.1, 0.0, 0.0])):
        with pytest.raises(ValueError, match="hyper must be"):
            fastgrad._core.multi_step("sgd_", hyper, [p])
    with pytest.raises(ValueError, match="unknown step"):
        fastgrad._core.multi_step("sgd", hyper, [p])


def test_missing_state_is_found_before_any_parameter_is_written():
    """Of two dtypes in one group, the first must not be stepped before the second is found to lack its state."""
    p, q = fastgrad.ones(2, requires_grad=True), fastgrad.ones(2, dtype=fastgrad.float64, requires_grad=True)
    (p.sum() + q.sum()).backward()
    hyper = fastgrad.tensor([0.1, 0.9, 0.0, 0.0, 0.0, 0.0], dtype=fastgrad.float64)
    with pytest.raises(fastgrad._core.MissingState):
        fastgrad._core.multi_step("sgd_momentum_", hyper, [p, q], [fastgrad.zeros(2), None])
    assert p.tolist() == [1.0, 1.0]
