"""Draw README's picture: the panel that a check shows for a backward pass that forgot to divide by the batch.

Run it with the project's Python and Chromium on the PATH: ``python assets/figures/check_panel.py``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from autograder import frozen
from autograder.checking import verdict_of
from autograder.render import as_html

TARGET = Path(__file__).with_suffix(".png")


def forgets_the_batch(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Softmax minus one-hot, without the mean over the batch."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities - np.eye(logits.shape[1])[targets]


def main() -> None:
    """Render the panel and save it beside this file."""
    verdict = verdict_of(frozen.find("softmax_cross_entropy_backward"), forgets_the_batch)
    assert not verdict.passed
    page_source = (
        "<!doctype html><meta charset='utf-8'><body style='margin:12px;background:white;color:black;"
        "font:15px system-ui,sans-serif'><pre style='margin:0 0 8px'>"
        'check("softmax_cross_entropy_backward", softmax_cross_entropy_backward)</pre>'
        f"{as_html(verdict).replace('<details', '<details open')}</body>"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 860, "height": 200}, device_scale_factor=1.5)
        page.set_content(page_source)
        page.screenshot(path=TARGET, full_page=True)
        browser.close()
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
