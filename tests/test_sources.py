"""Worked examples and claims about backpropagation, as lectures and textbooks give them, checked one by one."""

import itertools
import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad._core import memory_stats

F = nn.functional


def leaf(data):
    return fg.tensor(data, dtype=fg.float64, requires_grad=True)


def const(data):
    return fg.tensor(data, dtype=fg.float64)


def grad(output, inputs, upstream=None, **options):
    return fg.autograd.grad(output, inputs, grad_outputs=upstream, **options)


def jacobian(y, x):
    """J[i, j] = dy_i / dx_j over the flattened y and x, one vector-Jacobian product for each row."""
    rows = [grad(y, x, e.reshape(y.shape), retain_graph=True)[0] for e in fg.eye(y.numel(), dtype=fg.float64)]
    return fg.stack([row.reshape(-1) for row in rows])


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def same(actual, expected):
    """Equal to the last bit: the numbers of a worked example are exact in binary."""
    np.testing.assert_array_equal(actual.detach().numpy(), np.asarray(expected, dtype=np.float64))


def close(actual, expected, rtol=1e-12, atol=1e-12):
    np.testing.assert_allclose(np.asarray(actual.detach()), np.asarray(expected), rtol=rtol, atol=atol)


# -- graphs of numbers --------------------------------------------------------------------------------------------


def test_a_sum_times_a_number():
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    q = x + y
    q.retain_grad()
    f = q * z
    f.backward()
    assert (q.item(), f.item()) == (3.0, -12.0)
    assert (x.grad.item(), y.grad.item(), q.grad.item(), z.grad.item()) == (-4.0, -4.0, -4.0, 3.0)


def test_a_sigmoid_neuron():
    w, x = leaf([2.0, -3.0, -3.0]), leaf([-1.0, -2.0])
    s = w[0] * x[0] + w[1] * x[1] + w[2]
    y = fg.sigmoid(s)
    y.backward()
    assert s.item() == 1.0
    close(y, 0.7310585786300049)
    close(w.grad, [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185])
    close(x.grad, [0.3932238664829637, -0.5898357997244456])


def test_gates_pass_their_gradient_in_four_patterns():
    """Add distributes, multiply swaps, copy adds, max routes; and 1/x has -1/x^2."""
    a, b = leaf(3.0), leaf(4.0)
    assert [g.item() for g in grad(a + b, (a, b), const(2.0))] == [2.0, 2.0]
    a, b = leaf(2.0), leaf(3.0)
    assert [g.item() for g in grad(a * b, (a, b), const(5.0))] == [15.0, 10.0]
    a = leaf(7.0)
    copies = (a * 1.0, a * 1.0)
    assert grad(copies, a, (const(4.0), const(2.0)))[0].item() == 6.0
    a, b = leaf(4.0), leaf(5.0)
    assert [g.item() for g in grad(fg.maximum(a, b), (a, b), const(9.0))] == [0.0, 9.0]
    a = leaf(4.0)
    assert grad(1 / a, a)[0].item() == -1 / 16


def test_at_a_tie_maximum_halves_and_max_along_an_axis_takes_the_first():
    a, b = leaf(4.0), leaf(4.0)
    assert [g.item() for g in grad(fg.maximum(a, b), (a, b), const(9.0))] == [4.5, 4.5]
    x = leaf([4.0, 1.0, 4.0])
    same(grad(x.max(dim=0).values, x, const(9.0))[0], [9, 0, 0])


def test_the_patterns_hold_for_tensors_and_add_and_copy_are_each_others_backward():
    a, b, g = leaf(normal(0, 3, 4)), leaf(normal(1, 3, 4)), const(normal(2, 3, 4))
    for distributed in grad(a + b, (a, b), g):
        same(distributed, g)  # backward of add: copies of what arrives
    same(grad((a * 1.0, a * 1.0), a, (g, b.detach()))[0], g + b.detach())  # backward of copy: the sum of what arrives
    swapped = grad(a * b, (a, b), g)
    same(swapped[0], g * b.detach())
    same(swapped[1], g * a.detach())
    routed = grad(fg.maximum(a, b), (a, b), g)
    same(routed[0] + routed[1], g)  # nothing is lost or doubled
    same(routed[0] * routed[1], np.zeros((3, 4)))  # and each entry goes to one side


def test_backward_sums_over_consumers_and_visits_a_node_once_after_all_of_them():
    x = leaf(2.0)
    shared = x * x
    arrivals = []
    shared.register_hook(lambda g: arrivals.append(g.item()))
    (3 * shared + shared * x + fg.exp(shared * 0)).backward()
    assert arrivals == [3 + 2]  # one visit, with the whole sum
    assert x.grad.item() == 4 * 5 + 4


def test_reuse_of_intermediate_results_makes_the_gradient_linear_in_nodes_not_in_paths():
    x = leaf(1.0)
    y, visits = x, []
    for k in range(60):
        y = y + y
        y.register_hook(lambda _, k=k: visits.append(k))
    y.backward()
    assert x.grad.item() == 1152921504606846976 == 2**60
    assert visits == list(range(59, -1, -1))


def test_one_fused_sigmoid_equals_its_four_primitives_with_one_node_for_four():
    x = leaf(normal(3, 50))
    fused, composed = fg.sigmoid(x), composed_sigmoid(x)
    close(fused, composed.detach())
    g = const(normal(4, 50))
    close(grad(fused, x, g, retain_graph=True)[0], grad(composed, x, g, retain_graph=True)[0])
    assert (count_nodes(fused), count_nodes(composed)) == (1, 4)


def test_one_fused_sigmoid_keeps_one_array_where_its_primitives_keep_two():
    x = leaf(normal(3, 100_000))

    def bytes_kept(function):
        before = memory_stats()["allocated"]
        y = function(x)  # noqa: F841 - alive while the rest is counted, and its graph with it
        return memory_stats()["allocated"] - before

    fused = bytes_kept(fg.sigmoid)  # its own output
    composed = bytes_kept(composed_sigmoid)  # the output of exp, and that of the reciprocal
    assert fused >= 8 * 100_000
    assert composed == 2 * fused


def composed_sigmoid(x):
    return (1 + fg.exp(-x)).reciprocal()


def count_nodes(y):
    """The operations behind y: every node reachable from it that has operands."""
    seen, stack = set(), [y.grad_fn]
    while stack:
        node = stack.pop()
        if node not in seen and node.next_functions:
            seen.add(node)
            stack += [parent for parent, _ in node.next_functions if parent is not None]
    return len(seen)


# -- products with Jacobians --------------------------------------------------------------------------------------


def test_relu_multiplies_by_a_diagonal_jacobian_without_forming_it():
    x = leaf([1.0, -2.0, 3.0, -1.0])
    y = fg.relu(x)
    upstream = const([4.0, -1.0, 5.0, 9.0])
    same(y, [1, 0, 3, 0])
    same(grad(y, x, upstream, retain_graph=True)[0], [4, 0, 5, 0])
    J = jacobian(y, x)
    same(J, np.diag([1, 0, 1, 0]))
    same(upstream @ J, [4, 0, 5, 0])


X = [[2, 1, -3], [-3, 4, 2]]
W = [[3, 2, 1, -1], [2, 1, 3, 2], [3, 2, 1, -2]]
DY = [[2, 3, -3, 9], [-8, 1, 4, 6]]


def test_a_matrix_product_and_its_two_gradients():
    x, w = leaf(X), leaf(W)
    y = x @ w
    same(y, [[-1, -1, 2, 6], [5, 2, 11, 7]])
    y.backward(const(DY))
    same(x.grad, [[0, 16, -9], [-24, 9, -30]])
    same(w.grad, [[28, 3, -18, 0], [-30, 7, 13, 33], [-22, -7, 17, -15]])


def test_slices_of_the_jacobian_of_a_matrix_product_sum_to_the_implicit_product():
    x = leaf(X)
    J = jacobian(x @ const(W), x).reshape(2, 4, 2, 3)
    assert J.numel() == 48
    assert int((J != 0).sum()) == 24  # no weight is zero, so these are the structurally nonzero entries
    same(J[:, :, 0, 0], [[3, 2, 1, -1], [0, 0, 0, 0]])
    dy = const(DY)
    assert (dy * J[:, :, 0, 0]).sum().item() == 6 + 6 - 3 - 9 == 0
    assert (dy * J[:, :, 1, 2]).sum().item() == -24 + 2 + 4 - 12 == -30
    same((dy[:, :, None, None] * J).sum(dim=(0, 1)), np.array(DY) @ np.array(W).T)


def test_gradients_of_matrices_are_matrix_products_whatever_the_rank():
    """dX = dY W^T and dW = X^T dY; with more axes the same after reshaping. J[i, j] is dF_i / dx_j."""
    x, w, dy = leaf(normal(5, 2, 3, 4)), leaf(normal(6, 4, 5)), const(normal(7, 2, 3, 5))
    y = x @ w
    dx, dw = grad(y, (x, w), dy, retain_graph=True)
    rows, drows = x.detach().reshape(6, 4), dy.reshape(6, 5)
    close(dx, (drows @ w.detach().T).reshape(2, 3, 4))
    close(dw, rows.T @ drows)
    J = jacobian(y, x)
    assert tuple(J.shape) == (30, 24)
    close(dy.reshape(-1) @ J, dx.reshape(-1))


def test_an_affine_map_gives_an_outer_product_the_upstream_and_a_transposed_product():
    w, b, x = leaf(normal(8, 3, 4)), leaf(normal(9, 3)), leaf(normal(10, 4))
    dz = const(normal(11, 3))
    dw, db, dx = grad(w @ x + b, (w, b, x), dz)
    close(dw, np.outer(dz, x.detach()))
    same(db, dz)
    close(dx, w.detach().T @ dz)


def test_the_two_layer_sigmoid_network_has_eight_backward_lines():
    """0.5 ||W2 s(W1 x + b1) + b2 passed through s, minus y||^2, differentiated by hand."""
    w1, b1, w2, b2 = (leaf(normal(12 + k, *shape)) for k, shape in enumerate([(4, 3), (4,), (2, 4), (2,)]))
    x, target = const(normal(16, 3)), const([0.0, 1.0])
    h = fg.sigmoid(w1 @ x + b1)
    y = fg.sigmoid(w2 @ h + b2)
    (0.5 * ((y - target) ** 2).sum()).backward()

    h, y = h.detach().numpy(), y.detach().numpy()
    dy = y - target.numpy()
    dz2 = dy * y * (1 - y)
    dw2 = np.outer(dz2, h)
    db2 = dz2
    dh = w2.detach().numpy().T @ dz2
    dz1 = dh * h * (1 - h)
    dw1 = np.outer(dz1, x.numpy())
    db1 = dz1
    for param, expected in zip((w1, b1, w2, b2), (dw1, db1, dw2, db2), strict=True):
        close(param.grad, expected)


def test_a_hessian_vector_product_is_the_gradient_of_a_gradient():
    a, x, v = const([[3.0, 1.0], [1.0, 2.0]]), leaf([0.5, -1.0]), const([1.0, -2.0])
    (g,) = grad(0.5 * (x @ (a @ x)), x, create_graph=True)
    same(g, [0.5, -1.5])
    same(grad(g @ v, x, retain_graph=True)[0], [1, -3])


def test_a_penalty_on_the_gradient_norm_can_be_trained_on():
    a, x = const([[3.0, 1.0], [1.0, 2.0]]), leaf([0.5, -1.0])
    (g,) = grad(0.5 * (x @ (a @ x)), x, create_graph=True)
    (g * g).sum().backward()
    same(x.grad, [0, -5])


# -- networks and losses ------------------------------------------------------------------------------------------


def test_a_net_of_two_hidden_nodes_has_a_gradient_of_seven_entries():
    net = nn.Sequential(nn.Linear(1, 2), nn.Sigmoid(), nn.Linear(2, 1))
    assert sum(param.numel() for param in net.parameters()) == 7
    (net(fg.tensor([[0.5]])) - 1.0).square().sum().backward()
    gradient = nn.utils.parameters_to_vector([param.grad for param in net.parameters()])
    assert tuple(gradient.shape) == (7,)
    assert bool((gradient != 0).all())


def two_two_one(w1, w2):
    return (w2 @ fg.relu(w1 @ const([1.0, 2.0])) - 1.0) ** 2


def test_a_dead_relu_stops_the_gradient_of_its_row():
    w1, w2 = leaf([[0.5, 0.25], [-1.0, 0.25]]), leaf([2.0, -1.0])
    z = w1 @ const([1.0, 2.0])
    same(z, [1, -0.5])
    same(fg.relu(z), [1, 0])
    loss = two_two_one(w1, w2)
    assert loss.item() == 1.0
    loss.backward()
    same(w2.grad, [2, 0])
    same(w1.grad, [[4, 8], [0, 0]])


def test_moving_all_parameters_at_once_checks_a_gradient():
    """The change that the gradient predicts, against the change that happens."""
    w1, w2 = leaf([[0.5, 0.25], [-1.0, 0.25]]), leaf([2.0, -1.0])
    loss = two_two_one(w1, w2)
    d1, d2 = grad(loss, (w1, w2))

    def change(step1, step2):
        predicted = ((d1 * step1).sum() + (d2 * step2).sum()).item()
        return predicted, (two_two_one(w1 + step1, w2 + step2) - loss).item()

    ones = 0.001 * fg.ones(2, dtype=fg.float64)
    np.testing.assert_allclose(change(ones, ones), (0.014, 0.0140550420), atol=5e-11)
    np.testing.assert_allclose(change(-0.001 * d1, -0.001 * d2), (-0.084, -0.0821593584), atol=5e-11)


def test_central_differences_check_a_gradient_and_find_a_wrong_one():
    def right(w):
        return fg.tanh(w @ const([[1.0, -0.5], [0.3, 2.0]])).sum()

    def wrong(w):
        return right(w) + (w * w).sum() - (w.detach() * w).sum()  # the value of right, another gradient

    w = leaf([0.4, -0.7])
    numeric = []
    for k in range(2):
        step = fg.eye(2, dtype=fg.float64)[k] * 1e-6
        numeric.append(((right(w + step) - right(w - step)) / 2e-6).item())
    close(grad(right(w), w)[0], numeric, atol=1e-9)
    assert fg.autograd.gradcheck(right, (w,))
    assert not fg.autograd.gradcheck(wrong, (w,), raise_exception=False)


def test_forward_loss_backward_update_are_the_four_steps_of_learning():
    fg.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = optim.SGD(net.parameters(), lr=1.0)
    x, labels = fg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), fg.tensor([0, 1, 1, 0])
    for _ in range(300):
        scores = net(x)
        loss = F.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert net(x).argmax(dim=1).tolist() == [0, 1, 1, 0]
    assert loss.item() < 0.05


def svm_loss(scores, labels):
    """The multiclass hinge loss sum_j max(0, s_j - s_y + 1) over the wrong classes j, averaged over rows."""
    return scores.shape[1] * F.multi_margin_loss(scores, labels)


@pytest.mark.parametrize("loss_of", [svm_loss, F.cross_entropy], ids=["svm", "softmax"])
def test_the_svm_loss_and_softmax_cross_entropy_are_exchangeable(loss_of):
    x, labels = normal(20, 6, 5), np.array([0, 2, 1, 1, 0, 2])
    w, strength = leaf(normal(21, 3, 5)), 0.1
    loss = loss_of(const(x) @ w.T, fg.tensor(labels)) + strength * (w * w).sum()
    loss.backward()

    rows, scores = np.arange(6), x @ w.detach().numpy().T
    if loss_of is svm_loss:
        margins = np.maximum(0, scores - scores[rows, labels][:, None] + 1)
        margins[rows, labels] = 0
        data_loss = margins.sum() / 6
        dscores = (margins > 0).astype(float)
        dscores[rows, labels] = -dscores.sum(axis=1)
    else:
        dscores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        data_loss = -np.log(dscores[rows, labels]).mean()
        dscores[rows, labels] -= 1
    w_now = w.detach().numpy()
    close(loss, data_loss + strength * (w_now**2).sum())
    close(w.grad, dscores.T @ x / 6 + 2 * strength * w_now)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_weight_used_twice_gets_the_sum_of_both_gradients(penalty):
    w, b, x = leaf(normal(22, 3, 4)), leaf(normal(23, 3)), const(normal(24, 4))

    def data():
        return ((w @ x + b) ** 2).sum()

    def regularizer():
        return 0.3 * (w.abs().sum() if penalty == "l1" else (w * w).sum())

    alone = grad(data(), w)[0] + grad(regularizer(), w)[0]
    (data() + regularizer()).backward()
    close(w.grad, alone)
    w_now = w.detach()
    extra = 0.3 * w_now.sign() if penalty == "l1" else 0.6 * w_now
    close(grad(regularizer(), w)[0], extra)


# -- depth --------------------------------------------------------------------------------------------------------


def test_a_product_of_residual_jacobians_is_the_sum_over_all_subsets_of_blocks():
    blocks = [const(0.5 * normal(30 + k, 4, 4)) for k in range(3)]
    x, upstream = leaf(normal(33, 4)), const(normal(34, 4))
    h = x
    for block in blocks:
        h = h + block @ h
    (through_all,) = grad(h, x, upstream)
    paths = [
        _through(upstream, [block for block, taken in zip(blocks, chosen, strict=True) if taken])
        for chosen in itertools.product([False, True], repeat=3)
    ]
    assert len(paths) == 2**3
    close(through_all, sum(paths))


def _through(upstream, blocks):
    for block in reversed(blocks):
        upstream = upstream @ block
    return upstream


def test_skip_connections_carry_the_gradient_through_fifty_sigmoid_layers():
    def first_over_last(skip):
        weights = [leaf(normal(k, 64, 64) / 8) for k in range(50)]
        h = const(normal(99, 16, 64))
        for w in weights:
            out = fg.sigmoid(h @ w.T)
            h = h + out if skip else out
        h.square().mean().backward()
        return (weights[0].grad.norm() / weights[-1].grad.norm()).item()

    assert first_over_last(skip=True) > 1e-3
    assert 0 < first_over_last(skip=False) < 1e-20


SCHEMES = {"xavier": (2 / (256 + 128), 0.125), "kaiming": (2 / 256, 0.1530931), "lecun": (1 / 256, 0.1082532)}
INIT_OPTIONS = {"kaiming": {"nonlinearity": "relu"}}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_initialisers_have_their_published_variance(scheme):
    """Variance 2/(in + out), 2/in, 1/in for a weight of 256 inputs and 128 outputs, and the uniform bounds."""
    fg.manual_seed(0)
    variance, bound = SCHEMES[scheme]
    options = INIT_OPTIONS.get(scheme, {})
    n = 256 * 128
    w = fg.empty(128, 256)

    getattr(nn.init, f"{scheme}_normal_")(w, **options)
    assert abs(w.var().item() - variance) < 4 * variance * math.sqrt(2 / n)  # normal: Var(s^2) = 2 var^2 / n
    assert abs(w.mean().item()) < 4 * math.sqrt(variance / n)

    getattr(nn.init, f"{scheme}_uniform_")(w, **options)
    assert abs(w.var().item() - variance) < 4 * variance * math.sqrt(0.8 / n)  # uniform: Var(s^2) = 0.8 var^2 / n
    assert bound * 0.999 < w.abs().max().item() < bound * 1.000001


def test_fans_count_the_receptive_field():
    fg.manual_seed(0)
    w = fg.empty(16, 8, 5)  # out, in, kernel: fan_in 40, fan_out 80
    assert abs(nn.init.xavier_uniform_(w).abs().max().item() / math.sqrt(6 / 120) - 1) < 0.02
    fan_in = nn.init.kaiming_uniform_(w, nonlinearity="relu").abs().max().item()
    fan_out = nn.init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu").abs().max().item()
    assert abs(fan_in / math.sqrt(6 / 40) - 1) < 0.02
    assert abs(fan_out / math.sqrt(6 / 80) - 1) < 0.02


def test_a_linear_layer_multiplies_the_variance_by_fan_in_times_that_of_its_weights():
    fg.manual_seed(0)
    x, w = fg.randn(400, 256), nn.init.xavier_normal_(fg.empty(128, 256))
    expected = 256 * w.var().item()
    ratio = (F.linear(x, w).var() / x.var()).item()
    # With the variances of this w and this x given, chance is left in a mean of 400 x 128 squares of variance 2.
    sigma = expected * math.sqrt(2 / (400 * 128))
    assert abs(ratio - expected) < 4 * sigma


def mean_square_after(layers, width, init, activation, seed):
    fg.manual_seed(seed)
    h, w = fg.randn(32, width), fg.empty(width, width)
    with fg.no_grad():
        for _ in range(layers):
            init(w)
            h = activation(h @ w.T)
    return h.square().mean().item()


def test_selu_with_lecun_weights_holds_its_scale_over_fifty_layers():
    for seed in range(5):
        assert 0.8 < mean_square_after(50, 256, nn.init.lecun_normal_, F.selu, seed) < 1.25


def test_relu_with_he_weights_holds_its_scale_on_average_over_fifty_layers():
    def he(w):
        return nn.init.kaiming_uniform_(w, nonlinearity="relu")

    logs = [math.log(mean_square_after(50, 512, he, fg.relu, seed)) for seed in range(20)]
    assert 0.5 < math.exp(sum(logs) / 20) < 1.3


def test_tanh_with_xavier_weights_decays_like_the_inverse_of_depth_until_its_gain_is_set():
    def with_gain(w):
        return nn.init.xavier_normal_(w, gain=nn.init.calculate_gain("tanh"))

    for depth in (25, 50):
        assert 0.6 < 2 * depth * mean_square_after(depth, 256, nn.init.xavier_normal_, fg.tanh, 0) < 1.4
    assert 0.4 < mean_square_after(50, 256, with_gain, fg.tanh, 0) < 0.44


# -- optimisers ---------------------------------------------------------------------------------------------------


def trajectory(make_optimizer, steps):
    """Parameters after each step on a fixed quadratic, and the gradient function that produced them."""
    a = normal(40, 5, 5)
    a = a @ a.T / 5 + np.eye(5)
    p = leaf(normal(41, 5))
    optimizer = make_optimizer([p])
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (p @ (const(a) @ p))).backward()
        optimizer.step()
        seen.append(p.detach().numpy().copy())
    return normal(41, 5), lambda p: a @ p, seen


def test_sgd_with_momentum_and_weight_decay_is_as_published():
    lr, momentum, decay = 0.05, 0.9, 0.01
    p, gradient, seen = trajectory(lambda ps: optim.SGD(ps, lr=lr, momentum=momentum, weight_decay=decay), 100)
    velocity = np.zeros(5)
    for actual in seen:
        velocity = momentum * velocity + gradient(p) + decay * p
        p = p - lr * velocity
        np.testing.assert_allclose(actual, p, rtol=1e-12, atol=1e-12)


def test_adamw_is_as_published():
    """Loshchilov and Hutter, algorithm 2: the decay is taken from the parameter, not added to its gradient."""
    lr, (b1, b2), eps, decay = 0.02, (0.9, 0.999), 1e-8, 0.05
    p, gradient, seen = trajectory(lambda ps: optim.AdamW(ps, lr=lr, weight_decay=decay), 100)
    m, v = np.zeros(5), np.zeros(5)
    for t, actual in enumerate(seen, start=1):
        g = gradient(p)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        p = p - lr * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * p)
        np.testing.assert_allclose(actual, p, rtol=1e-12, atol=1e-12)
