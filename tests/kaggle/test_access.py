"""Kaggle lets nobody in without credentials: that is found before the run, and they stay secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.kaggle.runs import SUBMIT
from tests.kaggle.server import CREATE, KEY, LIST, TOKEN, USER, Fault
from tests.projects import output, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kaggle.server import LocalKaggle
    from tests.projects import Project

REMEDY = "set KAGGLE_API_TOKEN or write the token to ~/.kaggle/access_token"
NO_ACCESS: dict[str, tuple[dict[str, str], list[tuple[str, Fault]], str]] = {
    "none": ({"KAGGLE_API_TOKEN": ""}, [], f"there are no credentials for Kaggle: {REMEDY}"),
    "wrong token": ({"KAGGLE_API_TOKEN": "KGAT_0123"}, [], f"Kaggle does not accept the credentials: {REMEDY}"),
    "wrong key": (
        {"KAGGLE_API_TOKEN": "", "KAGGLE_USERNAME": USER, "KAGGLE_KEY": "0123456789"},
        [],
        f"Kaggle does not accept the credentials (Unauthenticated): {REMEDY}",
    ),
    "rules": (
        {},
        [(LIST, Fault(status=403, text="You must accept the rules"))],
        "the rules have to be accepted once: https://www.kaggle.com/competitions/digit-recognizer/rules",
    ),
    "too many": ({}, [(LIST, Fault(status=429, text="slowly"))], "Kaggle asks to wait: slowly"),
    "server": ({}, [(LIST, Fault(status=503, text="down"))], "Kaggle's server failed (503): down"),
    "connection": ({"http_proxy": "http://127.0.0.1:9"}, [], "digit-recognizer: HTTPConnectionPool"),
}


@pytest.mark.parametrize("name", NO_ACCESS)
def test_no_access(kaggle: LocalKaggle, small: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Missing or refused credentials, and whatever else keeps Kaggle from answering, are found before the run."""
    environment, faults, message = NO_ACCESS[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for call, fault in faults:
        kaggle.plant(call, fault)
    assert message in refusal(small.run(*SUBMIT))
    assert not small.journal.exists()


@pytest.mark.parametrize("way", ["token file", "key", "kaggle.json"])
def test_credentials(
    kaggle: LocalKaggle, small: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """Credentials are taken from wherever Kaggle's client takes them."""
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    if way == "token file":
        # pytester has moved the home folder.
        folder = small.path / ".kaggle"
        folder.mkdir()
        (folder / "access_token").write_text(TOKEN)
        monkeypatch.setenv("HOME", str(small.path))
    elif way == "key":
        monkeypatch.setenv("KAGGLE_USERNAME", USER)
        monkeypatch.setenv("KAGGLE_KEY", KEY)
    else:
        (tmp_path / "kaggle.json").write_text(json.dumps({"username": USER, "key": KEY}))
        (tmp_path / "kaggle.json").chmod(0o600)
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    assert 0 == small.run(*SUBMIT).ret
    assert 1 == len(kaggle.submissions)


@pytest.mark.parametrize("absent", ["kaggle", "six"])
def test_missing_extra(small: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str) -> None:
    """Without the extra the message has the command that installs it, whichever of its packages is missing."""
    (tmp_path / "kaggle").mkdir()
    (tmp_path / "kaggle" / "__init__.py").write_text(f"raise ModuleNotFoundError('none', name={absent!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    message = refusal(small.run(*SUBMIT))
    assert message == f"submitting to digit-recognizer needs {absent}: pip install 'pytest-tinyml[kaggle]'"


def test_a_folder_of_the_name_is_no_client(kaggle: LocalKaggle, small: Project) -> None:
    """A project with a folder ``kaggle``, as many have, submits all the same."""
    (small.path / "kaggle").mkdir()
    assert 0 == small.run(*SUBMIT).ret
    assert 1 == len(kaggle.submissions)


def test_credentials_stay_secret(kaggle: LocalKaggle, small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is in nothing written or shown, though Kaggle repeats it and the client is told to be verbose."""
    monkeypatch.setenv("VERBOSE", "true")
    kaggle.plant(CREATE, Fault(status=400, text=f"bad request with Bearer {TOKEN}"))
    result = small.run(*SUBMIT, "-v", "--showlocals", f"--junitxml={small.path / 'junit.xml'}")
    assert "Kaggle refuses: bad request with Bearer ***" in output(result)
    assert TOKEN not in output(result)
    written = [path for path in small.path.rglob("*") if path.is_file()]
    assert {"results.json", "submission.csv", "journal.sqlite", "junit.xml"} <= {path.name for path in written}
    assert [] == [path for path in written if TOKEN.encode() in path.read_bytes()]
