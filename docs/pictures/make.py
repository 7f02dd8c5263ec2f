"""Draws the pictures of the documentation: python docs/pictures/make.py [FOLDER], by default this one."""

import sys
from pathlib import Path

import fastgrad as fg
from fastgrad.viz import graph

F = fg.nn.functional


def number(value):
    return fg.tensor(value, dtype=fg.float64, requires_grad=True)


def product_of_a_sum():
    return graph(lambda x, y, z: (x + y) * z, number(-2.0), number(5.0), number(-4.0))


def neuron():
    def f(w0, x0, w1, x1, w2):
        return 1 / (1 + (-(w0 * x0 + w1 * x1 + w2)).exp())

    return graph(f, *map(number, (2.0, -1.0, -3.0, -2.0, -3.0)))


def dead_neuron():
    def loss(x, W1, W2):
        return (W2 @ F.relu(W1 @ x) - 1).square()

    x = fg.tensor([1.0, 2.0], dtype=fg.float64)
    return graph(loss, x, number([[0.5, 0.25], [-1.0, 0.25]]), number([2.0, -1.0]))


def gates():
    return graph(lambda x, y, z: fg.maximum(x, y) * z + x, number(4.0), number(5.0), number(2.0))


class Block(fg.nn.Module):
    """A residual block."""

    def __init__(self, width):
        super().__init__()
        self.norm = fg.nn.LayerNorm(width)
        self.up, self.down = fg.nn.Linear(width, 2 * width), fg.nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


def residual_net():
    fg.manual_seed(0)
    net = fg.nn.Sequential(fg.nn.Linear(8, 16), Block(16), fg.nn.Linear(16, 4))
    labels = fg.tensor([0, 1, 2, 3])
    return graph(lambda x: F.cross_entropy(net(x), labels), fg.randn(4, 8), names=net)


PICTURES = {
    "product-of-a-sum.svg": lambda: product_of_a_sum().to_svg(),
    "neuron.svg": lambda: neuron().to_svg(),
    "dead-neuron.svg": lambda: dead_neuron().to_svg(),
    "gates.svg": lambda: gates().to_svg(),
    "residual-net.svg": lambda: residual_net().to_svg(),
    "residual-net-collapsed.svg": lambda: residual_net().collapsed(1).to_svg(),
}

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, draw in PICTURES.items():
        (folder / name).write_text(draw(), encoding="utf-8")
