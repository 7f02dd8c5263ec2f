"""A forgotten zero_grad is noticed, accumulation on purpose is not. Warnings are errors here, so silence is tested too."""

import warnings

import pytest

import fastgrad as fg

OPTIMISERS = {
    "SGD": lambda p: fg.optim.SGD(p, lr=0.01),
    "momentum": lambda p: fg.optim.SGD(p, lr=0.01, momentum=0.9),
    "AdamW": lambda p: fg.optim.AdamW(p, lr=0.01),
}


@pytest.fixture
def net():
    fg.manual_seed(0)
    return fg.nn.Sequential(fg.nn.Linear(3, 4), fg.nn.ReLU(), fg.nn.Linear(4, 1))


def backward(net):
    (net(fg.ones(5, 3)) ** 2).mean().backward()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_it_is_noticed_once(net, name):
    optimizer = OPTIMISERS[name](net.parameters())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(6):
            backward(net)
            optimizer.step()
    (warning,) = caught
    assert warning.category is fg.ForgottenZeroGrad and issubclass(warning.category, UserWarning)
    assert "call optimizer.zero_grad() once for each step" in str(warning.message) and "(4, 3)" in str(warning.message)
    assert warning.filename == __file__


def test_it_is_noticed_where_the_gradient_is_clipped(net):
    optimizer = fg.optim.SGD(net.parameters(), lr=0.01)

    def train():
        for _ in range(3):
            backward(net)
            fg.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    with pytest.warns(fg.ForgottenZeroGrad):
        train()


def test_it_is_noticed_in_a_compiled_step(net):
    optimizer = fg.optim.SGD(net.parameters(), lr=0.01)

    @fg.compile
    def step(x):
        loss = (net(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    def train():
        for _ in range(4):
            step(fg.ones(5, 3))

    with pytest.warns(fg.ForgottenZeroGrad):
        train()


def test_it_can_be_turned_off(net):
    optimizer = fg.optim.SGD(net.parameters(), lr=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fg.ForgottenZeroGrad)
        for _ in range(4):
            backward(net)
            optimizer.step()


def by_hand(net, optimizer):
    for p in net.parameters():
        p.grad.zero_()


def through_data(net, optimizer):
    for p in net.parameters():
        p.grad.data.zero_()


def decayed(net, optimizer):
    for p in net.parameters():
        p.grad.mul_(0.9)


def dropped(net, optimizer):
    for p in net.parameters():
        p.grad = None


CLEARED = {
    "zero_grad": lambda net, optimizer: optimizer.zero_grad(),
    "zeros": lambda net, optimizer: optimizer.zero_grad(set_to_none=False),
    "the module's": lambda net, optimizer: net.zero_grad(),
    "by hand": by_hand,
    "through data": through_data,
    "decayed on purpose": decayed,
    "dropped": dropped,
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("how", CLEARED)
def test_accumulation_on_purpose_is_silent(net, name, how):
    optimizer = OPTIMISERS[name](net.parameters())
    for k in range(12):
        backward(net)
        if k % 3 == 2:
            fg.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            CLEARED[how](net, optimizer)


def test_two_steps_with_one_gradient_are_silent(net):
    first, second = (fg.optim.SGD(net.parameters(), lr=0.01) for _ in range(2))
    for _ in range(4):
        first.zero_grad()
        backward(net)
        first.step()
        second.step()
        first.step()


def test_a_discriminator_s_gradients_in_the_generator_are_silent():
    fg.manual_seed(0)
    generator, critic = fg.nn.Linear(2, 3), fg.nn.Linear(3, 1)
    ours, theirs = (fg.optim.SGD(m.parameters(), lr=0.01) for m in (generator, critic))
    for _ in range(5):
        theirs.zero_grad()
        critic(generator(fg.ones(4, 2))).mean().backward()  # reaches the generator too
        theirs.step()
        ours.zero_grad()
        (-critic(generator(fg.ones(4, 2))).mean()).backward()
        ours.step()


def test_a_closure_that_clears_is_silent(net):
    optimizer = fg.optim.SGD(net.parameters(), lr=0.01)

    def closure():
        optimizer.zero_grad()
        loss = (net(fg.ones(5, 3)) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(4):
        optimizer.step(closure)
