"""Training steps as people write them, each compiled against eager, bit for bit after every call."""

import copy

import pytest

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import bits, compiled, inputs, labels, refused, same

F = nn.functional


class Task:
    """A net, its optimiser, a shadow of the net, a critic; a subclass's `step` is what is compiled."""

    def __init__(self, make=lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9)):
        fg.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        self.critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        self.shadow = copy.deepcopy(self.net).requires_grad_(False)
        self.opt = make(list(self.net.parameters()))
        self.second = optim.Adam(self.critic.parameters(), lr=0.01)
        self.gen = fg.Generator().manual_seed(5)

    def loss(self, x, y):
        return F.cross_entropy(self.net(x), y)

    def watch(self):
        nets = self.net, self.critic, self.shadow
        return [[[p, p.grad] for p in net.parameters()] for net in nets]


STEPS = {}


def step(function):
    STEPS[function.__name__] = function
    return function


@step
def adversarial(self, x, y):
    """Two nets and two optimisers, each against the other."""
    fake = self.net(fg.rand(4, 3, generator=self.gen))
    real, ones = x[:, :2], fg.ones(4, 1)
    first = F.binary_cross_entropy_with_logits(self.critic(real), ones)
    first = first + F.binary_cross_entropy_with_logits(self.critic(fake.detach()), ones * 0)
    self.second.zero_grad()
    first.backward()
    self.second.step()
    second = F.binary_cross_entropy_with_logits(self.critic(fake), ones)
    self.opt.zero_grad()
    second.backward()
    self.opt.step()
    return first, second


@step
def parts_of_a_batch(self, x, y):
    self.opt.zero_grad()
    total = 0
    for k in range(4):
        loss = self.loss(x[k : k + 1], y[k : k + 1]) / 4
        loss.backward()
        total = total + loss.detach()
    self.opt.step()
    return total


@step
def average_of_weights(self, x, y):
    self.opt.zero_grad()
    loss = self.loss(x, y)
    loss.backward()
    self.opt.step()
    with fg.no_grad():
        for p, q in zip(self.net.parameters(), self.shadow.parameters(), strict=True):
            q.mul_(0.9).add_(p, alpha=0.1)
    return loss


@step
def average_by_copy_and_data(self, x, y):
    self.opt.zero_grad()
    self.loss(x, y).backward()
    self.opt.step()
    for p, q in zip(self.net.parameters(), self.shadow.parameters(), strict=True):
        q.data.copy_(0.9 * q.data + 0.1 * p.data)


@step
def target_network(self, x, y):
    """Q-learning: the target is the shadow's, which each call moves a little."""
    with fg.no_grad():
        target = self.shadow(x).max(1).values
    loss = F.smooth_l1_loss(self.net(x).gather(1, y.unsqueeze(1)).squeeze(1), target)
    self.opt.zero_grad()
    loss.backward()
    self.opt.step()
    self.shadow.load_state_dict(self.net.state_dict())
    return loss


@step
def by_hand_with_grad(self, x, y):
    ps = list(self.net.parameters())
    gs = fg.autograd.grad(self.loss(x, y), ps)
    with fg.no_grad():
        for p, g in zip(ps, gs, strict=True):
            p -= 0.1 * g
    return gs


@step
def by_hand_zeroing(self, x, y):
    loss = self.loss(x, y)
    loss.backward()
    with fg.no_grad():
        for p in self.net.parameters():
            p -= 0.1 * p.grad
            p.grad.zero_()
    return loss


@step
def by_hand_through_data(self, x, y):
    for p in self.net.parameters():
        p.grad = None
    loss = self.loss(x, y)
    loss.backward()
    for p in self.net.parameters():
        p.data.add_(p.grad, alpha=-0.1)
    return loss


@step
def gradients_scaled_in_place_and_replaced(self, x, y):
    self.opt.zero_grad()
    self.loss(x, y).backward()
    for k, p in enumerate(self.net.parameters()):
        if k % 2:
            p.grad.mul_(0.5)
        else:
            p.grad = p.grad * 0.5
    self.opt.step()
    return [p.grad for p in self.net.parameters()]


@step
def clipped_by_value_and_norms_returned(self, x, y):
    self.opt.zero_grad()
    self.loss(x, y).backward()
    before = [p.grad.norm() for p in self.net.parameters()]
    nn.utils.clip_grad_value_(self.net.parameters(), 0.01)
    largest = nn.utils.clip_grad_norm_(self.net.parameters(), 0.02, norm_type=float("inf"))
    self.opt.step()
    return before, largest


@step
def gradient_penalty(self, x, y):
    self.opt.zero_grad()
    loss = self.loss(x, y)
    gs = fg.autograd.grad(loss, list(self.net.parameters()), create_graph=True)
    penalty = sum((g * g).sum() for g in gs)
    (loss + 0.1 * penalty).backward()
    self.opt.step()
    return loss, penalty


@step
def adversarial_example(self, x, y):
    moved = x.detach().clone().requires_grad_()
    self.loss(moved, y).backward()
    moved = (x + 0.1 * moved.grad.sign()).detach()
    self.opt.zero_grad()
    loss = self.loss(moved, y)
    loss.backward()
    self.opt.step()
    return loss, moved


@step
def retained_graph_and_gradient(self, x, y):
    self.opt.zero_grad()
    hidden = self.net[0](x)
    hidden.retain_grad()
    loss = F.cross_entropy(self.net[2](hidden.tanh()), y)
    loss.backward(retain_graph=True)
    loss.backward()
    self.opt.step()
    return hidden.grad, loss


@step
def closure(self, x, y):
    def evaluated():
        self.opt.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        return loss

    return self.opt.step(evaluated)


@step
def inner_steps(self, x, y):
    """Gradient steps on fast weights, differentiated through: MAML."""
    names = [name for name, _ in self.net.named_parameters()]
    fast = dict(self.net.named_parameters())
    for _ in range(2):
        inner = F.cross_entropy(fg.func.functional_call(self.net, fast, (x[:2],)), y[:2])
        gs = fg.autograd.grad(inner, list(fast.values()), create_graph=True)
        fast = {name: fast[name] - 0.1 * g for name, g in zip(names, gs, strict=True)}
    loss = F.cross_entropy(fg.func.functional_call(self.net, fast, (x[2:],)), y[2:])
    self.opt.zero_grad()
    loss.backward()
    self.opt.step()
    return loss


@step
def per_sample_gradients(self, x, y):
    ps = {name: p.detach() for name, p in self.net.named_parameters()}

    def loss(ps, x, y):
        return F.cross_entropy(fg.func.functional_call(self.net, ps, (x.unsqueeze(0),)), y.unsqueeze(0))

    gs = fg.func.vmap(fg.func.grad(loss), in_dims=(None, 0, 0))(ps, x, y)
    with fg.no_grad():
        for name, p in self.net.named_parameters():
            p.sub_(0.1 * gs[name].mean(0))
    return gs


@step
def an_optimiser_made_inside(self, x, y):
    """Its state starts anew in each call, as it does eagerly."""
    opt = optim.Adam(self.net.parameters(), lr=0.01)
    opt.zero_grad()
    loss = self.loss(x, y)
    loss.backward()
    opt.step()
    return loss


@step
def random_numbers_of_every_kind(self, x, y):
    self.opt.zero_grad()
    loss = self.loss(F.dropout(x, 0.3), y)
    loss.backward()
    self.opt.step()
    return (
        loss,
        fg.rand(3, generator=self.gen),
        fg.randn(2),
        fg.randint(5, (3,)),
        fg.randperm(5),
        fg.bernoulli(x.sigmoid()),
    )


@pytest.mark.parametrize("function", STEPS.values(), ids=STEPS)
def test_a_step(function):
    def make():
        task = Task()
        return task, function.__get__(task)

    def args(i):
        return inputs(i), labels(i)

    # Each runs on the same numbers of the default stream: it is put back between the two, call by call.
    (a, f), (b, g) = make(), make()
    h = compiled(g)
    fg.manual_seed(1)
    stream = fg.get_rng_state()
    for i in range(12):
        fg.set_rng_state(stream)
        expected = bits(f(*args(i)))
        after = fg.get_rng_state()
        fg.set_rng_state(stream)
        assert bits(h(*args(i))) == expected, i
        assert bits(fg.get_rng_state()) == bits(after), i
        assert bits(a.watch()) == bits(b.watch()), i
        stream = after
    assert h.replays >= 9, (h.records, h.why)


@pytest.mark.parametrize("every", [2, 3])
def test_gradients_added_up_over_calls_with_a_flag_that_is_passed(every):
    class Adding(Task):
        def step(self, x, y, last):
            loss = self.loss(x, y) / every
            loss.backward()
            if last:
                self.opt.step()
                self.opt.zero_grad()
            return loss

    def make():
        task = Adding(lambda ps: optim.AdamW(ps, lr=0.01))
        return task, task.step

    h, _ = same(make, calls=8 * every, need=4 * every, args=lambda i: (inputs(i), labels(i), i % every == every - 1))
    assert len(h.programs) == every


def test_a_counter_that_decides_is_refused_and_the_two_ways_are_named():
    task, calls = Task(lambda ps: optim.AdamW(ps, lr=0.01)), []

    def f(x, y):
        loss = task.loss(x, y)
        loss.backward()
        calls.append(1)
        if len(calls) % 2 == 0:
            task.opt.step()
            task.opt.zero_grad()
        return loss

    words = "a choice that Python makes: one call .*; pass what it depends on as an argument"
    refused(f, words, args=lambda i: (inputs(i), labels(i)))


def test_a_target_network_that_is_copied_now_and_then():
    class Target(Task):
        def step(self, x, y):
            with fg.no_grad():
                target = self.shadow(x)
            loss = F.mse_loss(self.net(x), target)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            return loss

    def make():
        task = Target()
        return task, task.step

    def between(i, task):
        if i % 4 == 3:
            task.shadow.load_state_dict(task.net.state_dict())

    same(make, calls=16, records=3, between=between)


def test_an_optimiser_that_starts_again_twice_in_a_row():
    class Plain(Task):
        def step(self, x, y):
            self.opt.zero_grad()
            loss = self.loss(x, y)
            loss.backward()
            self.opt.step()
            return loss

    def between(i, task):
        if i in (1, 7, 8):
            task.opt.state.clear()

    for make in (lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9), lambda ps: optim.AdamW(ps, lr=0.1)):
        same(lambda make=make: (lambda task: (task, task.step))(Plain(make)), calls=16, between=between, need=5)


def test_one_step_of_an_optimiser_that_is_kept_and_made_in_each_call_is_refused():
    task, kept = Task(), []

    def f(x, y):
        kept.append(optim.SGD(task.net.parameters(), lr=0.1, momentum=0.9))
        kept[-1].zero_grad()
        task.loss(x, y).backward()
        kept[-1].step()

    refused(f, "make the optimiser outside", args=lambda i: (inputs(i), labels(i)))


def test_statistics_of_a_layer_made_inside_start_where_they_start():
    def f(x):
        mean, var = fg.zeros(3), fg.ones(3)
        y = F.batch_norm(x, mean, var, training=True)
        return y, mean, var

    h = compiled(f)
    for i in range(6):
        assert bits(h(inputs(i))) == bits(f(inputs(i)))
    assert h.replays == 4
