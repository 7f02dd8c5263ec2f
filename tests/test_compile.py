"""What a compiled function must survive: training steps, views, state, everything that may change between calls."""

import gc
import weakref

import pytest

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import Net, Scale, bits, compiled, inputs, labels, made, parameter, refused, same

F = nn.functional


# ---- training steps --------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": (lambda ps: optim.SGD(ps, lr=0.1), 3),
    "momentum": (lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), 3),
    "adam": (lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True), 3),
    "adamw": (lambda ps: optim.AdamW(ps, lr=0.01), 3),
}


@pytest.mark.parametrize(("make", "records"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_training_step(make, records):
    same(made(Net, make), records=records)


class Layers(nn.Module):
    """Everything at once: batch norm, dropout, clipping, two groups, weight decay."""

    def __init__(self):
        super().__init__()
        fg.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.4), nn.Linear(8, 2))
        groups = [
            {"params": list(self.net[0].parameters())},
            {"params": [*self.net[1].parameters(), *self.net[4].parameters()], "lr": 0.003},
        ]
        self.opt = optim.AdamW(groups, lr=0.01, weight_decay=0.1)
        self.schedule = optim.lr_scheduler.CosineAnnealingLR(self.opt, 50)
        self.stream = fg.get_rng_state()

    def step(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self.net(x), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
        self.opt.step()
        return {"loss": loss, "norm": norm}

    def watch(self):
        return [*self.state_dict().values(), *[p.grad for p in self.parameters()]]


def test_200_steps_with_batch_norm_dropout_clipping_groups_and_a_schedule():
    (a, b), streams = (Layers(), Layers()), {}
    h = compiled(b.step)
    for i in range(200):
        results = []
        for net, step in ((a, a.step), (b, h)):
            fg.set_rng_state(streams.get(net, net.stream))
            results.append(step(inputs(i), labels(i)))
            net.schedule.step()
            streams[net] = fg.get_rng_state()
        assert bits(results[0]) == bits(results[1]), i
        assert bits(a.watch()) == bits(b.watch()), i
        assert bits(streams[a]) == bits(streams[b]), i
    assert h.records == 3
    assert h.replays == 197


class Accumulating(Net):  # zero_grad and step outside: entry states alternate
    def step(self, x, y):
        loss = F.cross_entropy(self(x), y) * 0.5
        loss.backward()
        return loss


def test_gradients_over_two_calls_with_the_optimiser_outside_are_two_programs():
    def outside(i, net):
        if i and i % 2 == 0:
            net.opt.step()
            net.opt.zero_grad()

    h, _ = same(made(Accumulating), calls=14, between=outside)
    assert len(h.programs) == 2


class AccumulatingInside(Net):
    def step(self, x, y):
        self.opt.zero_grad()
        for k in (0, 2):
            F.cross_entropy(self(x[k : k + 2]), y[k : k + 2]).backward()
        self.opt.step()
        return self.w1.grad


def test_gradients_over_two_micro_steps_inside_and_a_grad_returned():
    same(made(AccumulatingInside))


class ZeroFilling(Net):
    def step(self, x, y):
        self.opt.zero_grad(set_to_none=False)
        loss = F.cross_entropy(self(x), y)
        loss.backward()
        self.opt.step()
        return loss


def test_gradients_set_to_zero_instead_of_none():
    same(made(ZeroFilling), calls=14)


def test_who_holds_a_gradient_keeps_it():
    net = Net()
    h = compiled(net.step)
    for i in range(8):
        h(inputs(i), labels(i))
    held, view = net.w1.grad, net.b.grad.detach()
    before = bits([held, view])
    h(inputs(20), labels(20))
    assert bits([held, view]) == before
    assert bits(net.w1.grad) != before[0]


class Dropping(Net):
    def forward(self, x):
        h = (x @ self.w1 + self.b).relu()
        return fg.dropout(h, 0.5, self.training, generator=self.gen) @ self.w2 if self.training else super().forward(x)


def test_dropout_draws_fresh_masks_of_the_same_stream():
    same(made(Dropping))


def test_seeding_the_generator_between_calls():
    def seed(i, net):
        if i == 7:
            net.gen.manual_seed(1)

    same(made(Dropping), between=seed, records=3)


def test_train_and_eval_are_two_programs():
    def mode(i, net):
        net.train(i not in (6, 7, 8, 9))

    h, _ = same(made(Dropping), calls=14, between=mode)
    assert len(h.programs) == 2


class Normed(Net):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.register_buffer("run", fg.zeros(5))

    def norm(self, h):
        m = h.mean(0)
        with fg.no_grad():
            if self.how == "lerp_":
                self.run.mul_(0.9).add_(m.detach())
            else:
                self.run.copy_(self.run * 0.9 + m.detach() * 0.1)
        return h - m

    def forward(self, x):
        return self.norm(self.norm(x @ self.w1) + self.b).relu() @ self.w2

    def watch(self):
        return [*super().watch(), self.run]


@pytest.mark.parametrize("how", ["lerp_", "copy_"])
def test_running_statistics_used_twice(how):
    h, net = same(made(Normed, how))
    before = bits([*net.parameters()])
    with pytest.raises(IndexError, match="cross_entropy"):
        h(inputs(0), fg.tensor([0, 1, 5, 0]))
    assert bits([*net.parameters()]) == before


def test_a_replay_that_fails_leaves_everything_as_it_was_but_what_it_cleared_and_the_next_one_works():
    net, other = Layers(), Layers()
    h = compiled(net.step)
    for i in range(8):
        for each, step in ((net, h), (other, other.step)):
            fg.set_rng_state(each.stream)
            step(inputs(i), labels(i))
            each.stream = fg.get_rng_state()
    before = bits([*net.parameters(), *net.buffers()])
    state = fg.get_rng_state()
    with pytest.raises(IndexError):
        h(inputs(0), fg.tensor([0, 1, 5, 0]))
    fg.set_rng_state(state)
    assert bits([*net.parameters(), *net.buffers()]) == before
    assert all(p.grad is None for p in net.parameters())  # its zero_grad() came first
    for step in (h, other.step):
        fg.set_rng_state(net.stream)
        step(inputs(9), labels(9))
    assert bits(net.watch()) == bits(other.watch())


def test_a_wrong_label_is_named_in_a_call_that_is_recorded():
    net, other = Net(), Net()
    h = compiled(net.step)
    for i in range(12):
        if i in (0, 1, 2):
            with pytest.raises(IndexError, match="label 5, at position 2, is out of range"):
                h(inputs(i), fg.tensor([0, 1, 5, 0]))
        assert bits(h(inputs(i), labels(i))) == bits(other.step(inputs(i), labels(i)))
        assert bits(net.watch()) == bits(other.watch())
    assert h.replays >= 8


def test_a_learning_rate_set_between_calls():
    def schedule(i, net):
        net.opt.param_groups[0]["lr"] = 0.1 * 0.9**i

    same(made(Net), between=schedule, records=3)


def test_a_schedule_stepped_inside_is_refused():
    net = Net()
    schedule = optim.lr_scheduler.StepLR(net.opt, 1, 0.9)

    def step(x, y):
        loss = net.step(x, y)
        schedule.step()
        return loss

    refused(step, "hyperparameter", args=lambda i: (inputs(i), labels(i)))


def test_a_schedule_stepped_inside_before_the_step_is_refused():
    net = Net()
    schedule = optim.lr_scheduler.StepLR(net.opt, 1, 0.9)
    net.step(inputs(0), labels(0))

    def step(x, y):
        schedule.step()
        return net.step(x, y)

    refused(step, "hyperparameter", args=lambda i: (inputs(i), labels(i)))


def test_a_smaller_last_batch_is_a_second_program():
    def size(i):
        return 2 if i % 4 == 3 else 4

    h, _ = same(made(Net), calls=24, args=lambda i: (inputs(i, size(i)), labels(i, size(i))))
    assert len(h.programs) == 2


def test_data_swapped_is_recorded_again_and_load_state_dict_is_not():
    def swap(i, net):
        if i == 6:
            net.w1.data = fg.full((3, 5), 0.1)
        if i == 12:
            net.load_state_dict({**net.state_dict(), "w2": fg.full((5, 2), 0.2)})

    h, _ = same(made(Net), calls=18, between=swap)
    assert len(h.programs) == 1 or h.records < 9


def test_new_optimiser_state_is_recorded_again():
    def load(i, net):
        if i == 7:
            net.opt.load_state_dict(net.opt.state_dict())

    h, _ = same(made(Net), calls=16, between=load)
    assert h.records < 10


class Shared(Net):
    def forward(self, x):
        return (x @ self.w1) @ self.w1.mT @ self.w1[0:3] @ self.w2


def test_a_parameter_used_three_times():
    same(made(Shared))


class ViewUpdating(Net):
    def step(self, x, y):
        r = super().step(x, y)
        with fg.no_grad():
            self.w1[0:2].add_(self.w1[1:3] * 0.01)
            self.w1.mT.copy_(self.w1.mT * 0.99)
        return r


def test_views_of_a_parameter_updated_in_place():
    same(made(ViewUpdating))


class Returning(Net):
    def step(self, x, y):
        r = super().step(x, y)
        return r, x[1:3].mT, (x * 2.0)[0:2], self.w1.detach()[0:1]


def test_outputs_that_are_views_of_an_input_a_product_and_a_parameter():
    h, net = same(made(Returning))
    x = inputs(0)
    first = h(x, labels(0))
    kept = bits(first[2])
    second = h(inputs(1), labels(1))
    assert first[1].data_ptr() == x[1:3].data_ptr()
    assert second[3].data_ptr() == net.w1.data_ptr()
    assert bits(first[2]) == kept
    h(second[2], labels(0)[0:2])


class HessianVector(Net):
    def step(self, x, y):
        e = (x @ self.w1 * (x @ self.w1)).relu() @ self.w2
        (g,) = fg.autograd.grad((e * e).sum(), [self.w1], create_graph=True)
        (hv,) = fg.autograd.grad((g * self.b.detach()).sum(), [self.w1])
        with fg.no_grad():
            self.w1.add_(hv * -1e-4)
        return hv


def test_a_hessian_vector_product():
    same(made(HessianVector), records=2)


def test_a_parameter_frozen_between_calls():
    def freeze(i, net):
        if i == 8:
            net.b.requires_grad_(False)

    same(made(Net), calls=18, between=freeze)


class Masked(Net):
    def __init__(self):
        super().__init__()
        self.m = fg.ones(5)

    def forward(self, x):
        return (x @ self.w1 * self.m) @ self.w2


def test_a_plain_tensor_attribute_rebound():
    def rebind(i, net):
        if i == 7:
            net.m = fg.full((5,), 0.5)

    same(made(Masked), calls=16, between=rebind)


def test_a_parameter_rebound_while_the_optimiser_holds_the_old_one():
    net = Net()
    h = compiled(net.step)
    for i in range(8):
        h(inputs(i), labels(i))
    old = net.w2
    net.w2 = parameter(9, 5, 2)
    before = bits(old)
    h(inputs(9), labels(9))
    assert bits(old) == before or "module" in h.why[0]
    assert "module" in h.why[0]


def test_a_number_on_a_module_changed_between_calls():
    net = nn.Sequential(nn.LeakyReLU(0.1))
    h = compiled(lambda x: net(x))
    for i in range(5):
        h(inputs(i))
    net[0].negative_slope = 0.5
    x = inputs(9)
    assert bits(h(x)) == bits(net(x))


def test_an_external_that_is_the_argument_stays_an_external():
    class Holder:
        pass

    o, first = Holder(), inputs(0)
    o.prev = first
    h = compiled(lambda x: x - o.prev)
    for x in (first, first, first, inputs(5), inputs(6), inputs(7)):
        assert bits(h(x)) == bits(x - o.prev)
    assert h.replays


def test_a_constant_written_in_place_and_returned_is_made_anew():
    def f(x):
        acc = fg.tensor([0.0, 0.0, 0.0])
        acc.add_(x.sum(0))
        return acc

    h = compiled(f)
    results = [h(inputs(i)) for i in range(6)]
    assert bits(results) == bits([f(inputs(i)) for i in range(6)])
    assert h.replays == 4


def test_a_replay_bumps_versions():
    net = Net()
    h = compiled(net.step)
    for i in range(6):
        h(inputs(i), labels(i))
    graph = (net.w1 * net.w1).sum()
    h(inputs(0), labels(0))
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        graph.backward()


def test_nested_structures_and_static_values():
    def f(batch, scale, *, flip=False):
        x, (a, b) = batch["x"], batch["pair"]
        y = x * a + b if flip else x * b + a
        return [{"y": y * scale, "name": "y"}, (y.sum(), scale)]

    h = compiled(f)
    for i in range(24):
        batch = {"x": inputs(i), "pair": (inputs(i + 1), [inputs(i + 2)][0])}
        flip, scale = i % 2 == 0, 0.5 if i % 3 else 2.0
        assert bits(h(batch, scale, flip=flip)) == bits(f(batch, scale, flip=flip))
    assert len(h.programs) == 4
    assert h.replays >= 12


def test_none_in_the_place_of_an_object_that_died():
    class Thing:
        pass

    h = compiled(lambda x, thing: x * 2.0 if thing is None else x * 3.0)
    thing = Thing()
    for i in range(4):
        h(inputs(i), thing)
    del thing
    gc.collect()
    assert bits(h(inputs(0), None)) == bits(inputs(0) * 2.0)


def test_gradients_that_nobody_holds_are_written_where_they_are():
    net = Net()
    h = compiled(net.step)
    for i in range(6):
        h(inputs(i), labels(i))
    addresses = [p.grad.data_ptr() for p in net.parameters()]
    h(inputs(6), labels(6))
    assert [p.grad.data_ptr() for p in net.parameters()] == addresses


def test_a_method_and_a_compiled_function_inside_another():
    class Model(Scale):
        @fg.compile
        def g(self, x):
            return self.scaled(x) + 1

    a, b = Model(2), Model(3)
    for i in range(6):
        assert bits(a.g(inputs(i))) == bits(inputs(i) * 2 + 1)
        assert bits(b.g(inputs(i))) == bits(inputs(i) * 3 + 1)
    assert Model.g.replays == 8
    gone = weakref.ref(a)
    del a
    gc.collect()
    assert gone() is None


def test_explain_lists_the_calls_with_their_lines():
    net = Net()
    h = compiled(net.step)
    assert "no program" in h.explain()
    for i in range(6):
        h(inputs(i), labels(i))
    text = h.explain()
    assert "compiling.py:" in text
    assert "sgd_momentum_" in text
    assert text.count("\n") == len(text.splitlines()) - 1 >= 10
