"""Make the pictures of the documentation anew: python docs/pictures.py

It needs the extras [viz], [study], [jit] and [browser], a Chromium, and some minutes for the studies.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from micrograd_like.__main__ import main
from micrograd_like.studies import NAMES, study

PICTURES = Path(__file__).parent / "pictures"
COMMANDS = [
    ["lecture", "--out", str(PICTURES.parent / "lecture"), "--force"],
    ["draw", "--mlp", "2-16-16-1", "--out", str(PICTURES / "units.svg"), "--force"],
    ["draw", "--mlp", "16-32-32-10", "--detail", "layers", "--out", str(PICTURES / "layers.svg"), "--force"],
]
PAGES = {  # file: (address, width, height)
    "page.png": ("step=13", 1200, 560),
    "training.png": ("train=1&data=spirals&layers=2&width=8&rate=0.5&batch=10&seed=0&updates=2500", 1200, 660),
}


def screenshots() -> None:
    """The page in a real browser, twice as sharp as it is large."""
    from playwright.sync_api import sync_playwright

    from micrograd_like.lecture import chain
    from micrograd_like.show import explore

    _, loss = chain([0.8, -1.2, 0.5], x=1.5, y=0.25)
    page_file = explore(loss).save(PICTURES / "page.html")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            for name, (address, width, height) in PAGES.items():
                size = {"width": width, "height": height}
                page = browser.new_page(viewport=size, device_scale_factor=1.5)
                page.goto(f"{page_file.resolve().as_uri()}#{address}")
                page.screenshot(path=PICTURES / name)
            browser.close()
    finally:
        page_file.unlink()


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for command in COMMANDS:
        status = main(command)
        if status:
            sys.exit(status)
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            study(name, folder)
            shutil.copy(Path(folder) / f"{name}.svg", PICTURES)
    screenshots()
