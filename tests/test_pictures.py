"""What a browser makes of the pictures and pages: skipped, visibly, where there is no Chromium.

A script that the test adds measures every text with the browser's own fonts: our layout has only guessed how wide it is.
"""

import json
import os
import re
import shutil
import subprocess
from html import escape, unescape

import pytest

import fastgrad as fg
from fastgrad.diagnostics import GradientMonitor, diagnose, lr_find
from fastgrad.profiler import compare, profile
from fastgrad.viz import explain_backward, graph

F = fg.nn.functional
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to draw the pictures with")

# Of every picture in every frame: texts that leave it, and texts wider than the box around them.
MEASURE = """
addEventListener("load", () => {
  const wrong = [];
  let texts = 0;
  for (const frame of document.querySelectorAll("iframe")) {
    const inner = frame.contentDocument;
    const name = frame.title;
    if (inner.documentElement.scrollWidth > frame.clientWidth) wrong.push([name, "wider than the page", ""]);
    for (const svg of inner.querySelectorAll("svg")) {
      if (!svg.getClientRects().length) continue;
      const all = svg.getBoundingClientRect();
      const boxes = [...svg.querySelectorAll("rect")].map(r => r.getBoundingClientRect()).filter(r => r.width < all.width - 2);
      for (const text of svg.querySelectorAll("text")) {
        texts += 1;
        const b = text.getBoundingClientRect();
        if (b.left < all.left - 1 || b.right > all.right + 1 || b.top < all.top - 2 || b.bottom > all.bottom + 2)
          wrong.push([name, "leaves the picture", text.textContent]);
        const x = (b.left + b.right) / 2, y = (b.top + b.bottom) / 2;
        const around = boxes.filter(r => r.left <= x && x <= r.right && r.top <= y && y <= r.bottom);
        if (around.length && !around.some(r => b.left >= r.left - 1 && b.right <= r.right + 1))
          wrong.push([name, "is wider than its box", text.textContent]);
      }
    }
  }
  document.body.setAttribute("data-found", JSON.stringify({wrong, texts}));
});
"""


def browser(*arguments):
    common = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=2000"]
    alone = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # sanitizers are for our code
    return subprocess.run(
        [BROWSER, *common, *arguments], capture_output=True, text=True, check=True, timeout=120, env=alone
    ).stdout


def net():
    fg.manual_seed(0)
    return fg.nn.Sequential(fg.nn.Linear(8, 16), fg.nn.LayerNorm(16), fg.nn.ReLU(), fg.nn.Linear(16, 4))


@pytest.fixture(scope="module")
def views():
    """{name: SVG or HTML} of everything that draws itself."""
    model, x, y = net(), fg.randn(10, 8), fg.randint(0, 4, (10,))
    optimizer = fg.optim.SGD(model.parameters(), lr=0.1)
    monitor = GradientMonitor(model)
    with profile() as prof:
        for _ in range(5):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            monitor.record(loss)
            optimizer.step()
    numbers = [fg.tensor(v, requires_grad=True) for v in (2.0, -1.0, -3.0, -2.0, -3.0)]
    w0, x0, w1, x1, w2 = numbers
    neuron = (w0 * x0 + w1 * x1 + w2).sigmoid()
    sigmoids = [m for _ in range(8) for m in (fg.nn.Linear(8, 8), fg.nn.Sigmoid())]
    rates = lr_find(model, [(x, y)], F.cross_entropy, steps=40)
    return {
        "profile": prof.to_html(),
        "comparison": compare(model, (x, y), seconds_each=0.01).to_svg(),
        "net": graph(lambda x: F.cross_entropy(model(x), y), x, names=model).to_html(),
        "gates": graph(lambda w, x: fg.maximum(w, x) * w, w0, x0).to_svg(),
        "neuron": graph(neuron).to_svg(),
        "account": explain_backward(neuron).to_html(),
        "diagnosis": diagnose(fg.nn.Sequential(*sigmoids, fg.nn.Linear(8, 4)), (x, y)).to_html(),
        "healthy": diagnose(model, (x, y)).to_html(),
        "monitor": monitor.to_html(),
        "rates": rates.to_svg(),
    }


def test_texts_are_where_they_belong(views, tmp_path):
    frames = "".join(
        f'<iframe title="{name}" width="1240" height="900" srcdoc="{escape(text)}"></iframe>'
        for name, text in views.items()
    )
    page = tmp_path / "all.html"
    page.write_text(f"<!doctype html><html><body>{frames}<script>{MEASURE}</script></body></html>", encoding="utf-8")
    dom = browser("--dump-dom", page.as_uri())
    found = json.loads(unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
    assert found["texts"] > 100
    assert found["wrong"] == []


def test_pictures_are_drawn(views, tmp_path):
    blank = tmp_path / "blank.html"
    blank.write_text("<!doctype html>")
    size = {}
    for name, text in {"blank": "<!doctype html>", "profile": views["profile"], "net": views["net"]}.items():
        page, picture = tmp_path / f"{name}.html", tmp_path / f"{name}.png"
        page.write_text(text, encoding="utf-8")
        browser(f"--screenshot={picture}", "--window-size=1240,1400", page.as_uri())
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        size[name] = picture.stat().st_size
    assert size["profile"] > 5 * size["blank"] and size["net"] > 5 * size["blank"]
