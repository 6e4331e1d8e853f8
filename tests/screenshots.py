"""Pictures for the documentation, of real runs: ``python -m tests.screenshots [FOLDER]`` (docs/images by default).

Three versions of a model are run over the 28,000 test images and kept as baselines; then the last one again, by
firmware in which one bit of one weight was flipped. Needs Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pytest_tinyml.assets import assets_dir
from tests.browser import DESKTOP, PHONE, chromium, tab_of
from tests.live.shots import shoot_live

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser import Tab

_ROOT: Final = Path(__file__).parents[1]
_FOLDER: Final = _ROOT / "docs" / "images"
# Of the second layer's 64 x 64 weights, bit 6 of one.
_CONFTEST: Final = """
import os

from tests.regression.planted import PlantedBoard, PlantedKind, at_place


def make(request):
    return PlantedBoard(request, at_place(4096, 30, 64) if os.environ.get("PLANTED") else str)


def pytest_tinyml_boards(registry):
    registry.register(PlantedKind(make))
"""
_VERSIONS: Final = ("s1-ptq-pertensor", "s1-qat", "s1-ptq")
_GATES: Final = ("top1:0.1pp", "flips:10", "arena:1%", "flash:2%")
_TIMEOUT_S: Final = 600.0
_COLOURS: Final = 255
_TOP_PX: Final = 1500


def run(project: Path, *arguments: str, passes: bool, **environment: str) -> None:
    """Run pytest in the project, over its own model.

    Raises:
        RuntimeError: it did not pass, or did.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--board=planted", "--tinyml-fresh"]
    found = subprocess.run(
        [*command, "--tinyml-model=digits.tflite", "--tinyml-formats=html", *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(_ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if (found.returncode == 0) != passes:
        raise RuntimeError(found.stdout + found.stderr)


def record(project: Path) -> Path:
    """Make the runs, and return the folder with the last one's report and its comparison with the one before."""
    (project / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    for name in _VERSIONS:
        shutil.copyfile(assets_dir("models") / "s1" / f"{name}.tflite", project / "digits.tflite")
        run(project, f"--tinyml-save={name}", passes=True)
    gates = [f"--tinyml-fail-on={gate}" for gate in _GATES]
    run(project, "--tinyml-compare", *gates, passes=False, PLANTED="1")
    folder = project / "tinyml-report"
    code = "import sys; from pytest_tinyml.cli import main; sys.exit(main())"
    runs = ("3", "4")
    subprocess.run([sys.executable, "-c", code, "report", "--compare", *runs], cwd=project, check=True, timeout=60.0,
                   env=os.environ | {"PYTHONPATH": str(_ROOT)}, capture_output=True)  # fmt: skip
    return folder


def save(tab: Tab, path: Path, show: str = "") -> None:
    """Write a picture of an open page, with as few colours as it has to have.

    Args:
        tab: the page.
        path: receives a PNG.
        show: selector of the part to be shown; the top of the page if empty.
    """
    from PIL import Image

    if show:
        # It would lie across.
        tab.page.add_style_tag(content="nav { position: static }")
        tab.page.locator(show).screenshot(path=path)
    else:
        tab.page.set_viewport_size({"width": tab.page.evaluate("innerWidth"), "height": _TOP_PX})
        tab.picture(path, whole=False)
    with Image.open(path) as opened:
        small = opened.convert("RGB").quantize(_COLOURS)
    small.save(path, optimize=True)
    print(f"{path.name}: {small.width} x {small.height}, {path.stat().st_size / 1024:.0f} KiB")


def shoot(
    browser: Browser, page: Path, path: Path, *, width: int, scheme: Literal["light", "dark"], show: str = ""
) -> None:
    """Write a picture of a page that is a file.

    Args:
        browser: that opens it.
        page: the file.
        path: receives a PNG.
        width: of the screen in CSS pixels.
        scheme: light or dark.
        show: selector of the part to be shown; the top of the page if empty.
    """
    with tab_of(browser, page.as_uri(), width=width, scheme=scheme, scale=2 if width == PHONE else 1) as tab:
        save(tab, path, show)


def main(folder: Path = _FOLDER) -> int:
    """Write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tinyml-pictures-") as scratch, chromium() as browser:
        made = record(Path(scratch))
        report, compared = made / "report.html", made / "compare-3-4.html"
        shoot(browser, report, folder / "report-light.png", width=DESKTOP, scheme="light")
        shoot(browser, report, folder / "report-dark.png", width=DESKTOP, scheme="dark")
        shoot(browser, report, folder / "report-phone.png", width=PHONE, scheme="light")
        shoot(browser, report, folder / "report-classes.png", width=DESKTOP, scheme="light", show="#classes")
        shoot(
            browser,
            report,
            folder / "report-samples.png",
            width=DESKTOP,
            scheme="light",
            show="#samples .part >> nth=0",
        )
        shoot(browser, compared, folder / "compare-light.png", width=DESKTOP, scheme="light")
        shoot_live(browser, Path(scratch), lambda tab, name: save(tab, folder / f"{name}.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(text) for text in sys.argv[1:])))
