"""Draws the pictures of the documentation: python docs/pictures/make.py [FOLDER], by default this one.

Pages of measured times differ from run to run: `PAGES` are photographed with Chromium, where there is one, into FOLDER.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fastgrad as fg
from fastgrad.diagnostics import diagnose
from fastgrad.profiler import profile
from fastgrad.utils.data import DataLoader, TensorDataset
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


def relu_of_a_vector():
    def loss(x, upstream):
        return (F.relu(x) * upstream).sum()

    return graph(loss, fg.tensor([1.0, -2.0, 3.0, -1.0], requires_grad=True), fg.tensor([4.0, -1.0, 5.0, 9.0]))


def product_of_matrices():
    def loss(X, W, upstream):
        return ((X @ W) * upstream).sum()

    X = fg.tensor([[2.0, 1.0, -3.0], [-3.0, 4.0, 2.0]], requires_grad=True)
    W = fg.tensor([[3.0, 2.0, 1.0, -1.0], [2.0, 1.0, 3.0, 2.0], [3.0, 2.0, 1.0, -2.0]], requires_grad=True)
    return graph(loss, X, W, fg.tensor([[2.0, 3.0, -3.0, 9.0], [-8.0, 1.0, 4.0, 6.0]]))


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
    "relu.svg": lambda: relu_of_a_vector().to_svg(),
    "matmul.svg": lambda: product_of_matrices().to_svg(),
    "residual-net.svg": lambda: residual_net().to_svg(),
    "residual-net-collapsed.svg": lambda: residual_net().collapsed(1).to_svg(),
}


def profile_page():
    fg.manual_seed(0)
    layers = fg.nn.Linear(64, 256), fg.nn.LayerNorm(256), fg.nn.GELU(), fg.nn.Linear(256, 256), fg.nn.ReLU()
    net = fg.nn.Sequential(*layers, fg.nn.Linear(256, 10))
    optimizer = fg.optim.AdamW(net.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(fg.randn(640, 64), fg.randint(0, 10, (640,))), batch_size=64)

    def train(epochs):
        for _ in range(epochs):
            for x, y in loader:
                loss = F.cross_entropy(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    train(5)
    with profile() as prof:
        train(10)
    return prof.to_html()


def diagnosis_page():
    fg.manual_seed(0)
    sigmoids = [layer for _ in range(10) for layer in (fg.nn.Linear(16, 16), fg.nn.Sigmoid())]
    net = fg.nn.Sequential(*sigmoids, fg.nn.Linear(16, 2))
    return diagnose(net, (fg.randn(32, 16), fg.randint(0, 2, (32,)))).to_html()


PAGES = {"profile.png": (profile_page, 1240, 1240), "diagnosis.png": (diagnosis_page, 1240, 900)}


def photograph(page, path, width, height):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.html"
        source.write_text(page, encoding="utf-8")
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={width},{height}",
        ]
        subprocess.run([browser, *options, f"--screenshot={path}", source.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    from derivatives import PICTURES as CURVES

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, draw in {**PICTURES, **CURVES}.items():
        (folder / name).write_text(draw(), encoding="utf-8")
    for name, (draw, width, height) in PAGES.items():
        photograph(draw(), folder / name, width, height)
