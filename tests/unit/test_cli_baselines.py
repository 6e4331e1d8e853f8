"""``tinyml baselines``, as a person types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_tinyml.cli import main
from pytest_tinyml.stores import baselinefile
from pytest_tinyml.stores.baseline import load
from tests.unit.test_baseline import CONTENT, KEY, OTHER_CHIP, save

if TYPE_CHECKING:
    from pathlib import Path

Captured = pytest.CaptureFixture[str]


def run(root: Path, *arguments: str) -> int:
    """Run one of the commands on a storage."""
    return main(["baselines", *arguments, "--storage", str(root)])


def test_empty(tmp_path: Path, capsys: Captured) -> None:
    """Without baselines the list says how to keep one."""
    assert 0 == run(tmp_path, "list")
    expected = f"no baselines in {tmp_path}: keep a run with pytest --board NAME --tinyml-save NAME\n"
    assert expected == capsys.readouterr().out


def test_list(tmp_path: Path, capsys: Captured) -> None:
    """Every baseline has a line below its folder; one that cannot be read says why, and the others are there."""
    first = save(tmp_path, commit="0123456789abcdef")
    second = save(tmp_path, "next", figures={"top1": None, "instructions": 110_000})
    assert 0 == run(tmp_path, "list")
    expected = [
        str(first.path.parent),
        "  0001_main: 2026-01-02T03:04:05Z, 5 samples, top-1 80.00%, arena 922 B, commit 0123456789ab",
        "  0002_next: 2026-01-02T03:04:05Z, 5 samples, 110,000 instructions",
    ]
    assert expected == capsys.readouterr().out.splitlines()
    first.path.write_text("", encoding="utf-8")
    assert 1 == run(tmp_path, "list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"  0001_main: baseline {first.path} is damaged: ")
    assert expected[2] == lines[2]
    assert second.path.exists()


def test_show(tmp_path: Path, capsys: Captured) -> None:
    """A baseline is shown by its file or its name, with its figures as gates name them, and its classes."""
    kept = save(tmp_path)
    for name in ("0001_main", "0001_main.json", str(kept.path)):
        assert 0 == run(tmp_path, "show", name)
        assert capsys.readouterr().out.splitlines() == [
            "s1-ptq on native (x86_64, engine aot), mnist-28k",
            "0001_main: 2026-01-02T03:04:05Z, 5 samples, top-1 80.00%, arena 922 B",
            "  top1                 80.00%  top-1",
            "  arena                 922 B  arena",
            "  class 0              4 of 5",
        ]


def test_unknown(tmp_path: Path, capsys: Captured) -> None:
    """A name that is nobody's, or that of several, is refused with those that there are."""
    save(tmp_path)
    assert 2 == run(tmp_path, "show", "0002_main")
    assert f"tinyml: no baseline '0002_main' in {tmp_path}; known: 0001_main\n" == capsys.readouterr().err
    save(tmp_path, key=OTHER_CHIP)
    assert 2 == run(tmp_path, "delete", "0001_main")
    assert "tinyml: 2 baselines are called 0001_main: name the file, " in capsys.readouterr().err


def test_delete(tmp_path: Path, capsys: Captured) -> None:
    """What is named is deleted; nothing is, if one of them does not exist."""
    kept = [save(tmp_path) for _ in range(3)]
    assert 2 == run(tmp_path, "delete", "0001_main", "0009_main")
    assert all(each.path.exists() for each in kept)
    kept[1].path.write_text("{", encoding="utf-8")
    assert 0 == run(tmp_path, "delete", "0001_main", str(kept[1].path))
    assert ["0003.predictions", "0003_main.json"] == sorted(path.name for path in kept[2].path.parent.iterdir())
    assert f"deleted {kept[0].path}\ndeleted {kept[1].path}\n" == capsys.readouterr().out


def _step(content: dict[str, Any]) -> dict[str, Any]:
    return content | {"figures": content.pop("measured")}


def test_migrate(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older files are rewritten in the present schema; what is of a newer one stops it before anything is written."""
    monkeypatch.setitem(baselinefile.MIGRATIONS, 0, _step)
    old, present = save(tmp_path), save(tmp_path)
    content = json.loads(old.path.read_text(encoding="utf-8"))
    text = json.dumps(content | {"schema": "tinyml-baseline/0", "measured": content.pop("figures")})
    old.path.write_text(text, encoding="utf-8")
    newer = present.path.read_text(encoding="utf-8")
    present.path.write_text(newer.replace("tinyml-baseline/1", "tinyml-baseline/2"), encoding="utf-8")
    assert 2 == run(tmp_path, "migrate")
    assert text == old.path.read_text(encoding="utf-8")
    present.path.write_text(newer, encoding="utf-8")
    assert 0 == run(tmp_path, "migrate")
    expected = f"migrated {old.path}\n1 of 2 baselines were migrated; all have schema tinyml-baseline/1\n"
    assert expected == capsys.readouterr().out
    assert (KEY, CONTENT["figures"]) == (load(old.path).key, load(old.path).figures)
