"""Draw README's pictures of the site: its first page, and the widget of chapter 6 in the middle of its backward pass.

Run it with the project's Python and Chromium on the PATH: ``python assets/figures/site_pages.py``. It builds the site first, which
takes seconds where little has changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from autograder.site import browsing, building, serving

FOLDER = Path(__file__).parent
#: Pixels of each picture, width and height; on the page it has half as many.
SIZES = {"landing.png": (1600, 1440), "graph_stepper.png": (1460, 780)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def landing(page: Any, address: str) -> Any:
    """The top of the first page, as it opens."""
    page.goto(f"{address}/index.html")
    page.wait_for_selector(".nnlm-widget svg")
    return page


def graph_stepper(page: Any, address: str) -> Any:
    """Deck E's network after its forward pass and four steps back."""
    page.goto(f"{address}/play.html")
    widget = page.locator('.course-widget[data-widget="graph_stepper"] .nnlm-widget')
    widget.get_by_role("button", name="To the loss", exact=True).click()
    for _ in range(4):
        widget.get_by_role("button", name="Next node", exact=True).click()
    page.evaluate("document.activeElement.blur()")
    widget.evaluate("element => element.scrollIntoView({block: 'center', behavior: 'instant'})")
    page.mouse.move(0, 0)
    return widget


def main() -> None:
    """Build the site and save what it shows beside this file."""
    built = building.build(tell=print)
    with serving.served(built.folder) as address, sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browsing.browser(), args=FLAGS)
        for name, draw in {"landing.png": landing, "graph_stepper.png": graph_stepper}.items():
            width, height = (pixels // 2 for pixels in SIZES[name])
            # Narrow enough for the menu to fold: a builder's machine may lack the Chinese glyphs of its titles.
            page = chromium.new_page(
                viewport={"width": 800 if name == "landing.png" else 1000, "height": 720}, device_scale_factor=2
            )
            shown = draw(page, address)
            box = {"x": 0, "y": 0} if shown is page else shown.bounding_box()
            clip = {"x": int(box["x"]), "y": int(box["y"]), "width": width, "height": height}
            page.screenshot(path=FOLDER / name, clip=clip)
            page.close()
            print(f"wrote {FOLDER / name}")
        chromium.close()


if __name__ == "__main__":
    main()
