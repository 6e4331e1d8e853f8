"""A desk with twins on it, and pytest as its owner would type it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_tinyml.boards.espline import compiled_in
from pytest_tinyml.engines.samplefile import FILE, HAS_SAMPLES
from pytest_tinyml.engines.select import sources_for
from pytest_tinyml.firmware import build_native
from pytest_tinyml.stores.models import load_model
from tests.processes import end_session
from tests.twin.image import make_build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.projects import Project
    from tests.twin.board import Twin

WIFI: Final = {"TINYML_WIFI_SSID": "air & water", "TINYML_WIFI_PASSWORD": "100 % secret"}
_LIMIT_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run of pytest came to.

    Attributes:
        code: its exit code.
        text: all that it said.
        results: results.json; empty if there is none.
        console: the board's console log; likewise.
    """

    code: int
    text: str
    results: dict[str, Any]
    console: str


class Desk:
    """See the module.

    Args:
        project: where pytest is run.
        folder: for builds.
    """

    def __init__(self, project: Project, folder: Path) -> None:
        """Have built nothing."""
        self.project, self._folder = project, folder

    def build(self, model: str, *, wired: bool = False) -> Path:
        """Return the folder of an application with a zoo model, built once; its build folder is ``build``."""
        return built(self._folder, model, wired=wired)

    def run(
        self,
        twin: Twin | str,
        *arguments: str,
        model: str = "s1-ptq",
        built_with: str | None = None,
        environment: Mapping[str, str] = WIFI,
        board: str = "esp32cam",
    ) -> Outcome:
        """Run ``pytest --board`` on the board at a port, with the firmware that was built with the model."""
        url = twin if isinstance(twin, str) else twin.url
        app = str(self.build(built_with or model, wired=board != "esp32cam"))
        command = ["--port", url, "--app-path", app, "--tinyml-model", model]
        return self.outcome(board, *command, *arguments, environment=environment)

    def outcome(
        self, board: str, *arguments: str, environment: Mapping[str, str], limit_s: float = _LIMIT_S
    ) -> Outcome:
        """Run ``pytest --board``, and return what that came to."""
        process = self.project.spawn("--board", board, *arguments, **environment)
        try:
            text, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            end_session(process)
            raise
        report = self.project.path / "tinyml-report"
        log = report / "logs" / f"{board}.console.log"
        return Outcome(
            code=process.returncode,
            text=text,
            results=self.project.results() if (report / "results.json").exists() else {},
            console=log.read_text(encoding="utf-8") if log.exists() else "",
        )


def command(*arguments: str) -> str:
    """Run ``tinyml`` and return what it printed; fail if it did."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from pytest_tinyml.cli import main; sys.exit(main())", *arguments],
        env=os.environ | WIFI,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(folder: Path, model: str, *, wired: bool = False) -> Path:
    """Return the folder of an application with a zoo model, in a folder for several, where it is built once.

    Args:
        folder: for all of them.
        model: of the zoo, or a file.
        wired: it is for a board whose serial port is the link, and has ten images for its self-test.
    """
    app = folder / f"{Path(model).stem}{'-wired' if wired else ''}"
    if not app.exists():
        loaded = load_model(model)
        generated = sources_for(loaded)
        sources, defines = [*generated.own_sources, *generated.vendor_sources], {}
        if wired:
            app.mkdir(parents=True)
            sources.append(app / FILE)
            sources[-1].write_text(compiled_in(loaded, None), encoding="utf-8")
            defines = HAS_SAMPLES
        firmware = build_native(sources, [*generated.include_dirs, generated.engine_dir], defines)
        make_build(
            app / "build",
            firmware.path,
            firmware_sha256=firmware.sha256,
            model_sha256=loaded.sha256,
            engine=generated.engine,
            baud=921_600 if wired else 115_200,
        )
    return app


def assert_same_verdict(outcome: Outcome, samples: int, engine: str = "aot") -> None:
    """Every sample was answered once, as by the reference, by a board that does not pass for a real one."""
    assert outcome.code == 0, outcome.text
    results = outcome.results
    assert results["passed"]
    assert results["problems"] == []
    assert results["board"]["chip"] == "twin"
    assert results["board"]["engine"] == engine
    metrics = results["metrics"]
    assert metrics["count"] == samples
    assert metrics["differing"] == 0
    assert metrics["bit_exact_ratio"] == 1.0
    assert metrics["failed"] == []
    assert results["conflicts"] == []
    assert sum(board["samples"] for board in results["boards"]) == samples
    assert results["latency"]["gated"] is False
