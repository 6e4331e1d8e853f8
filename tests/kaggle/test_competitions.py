"""The file that is uploaded is what the competition asks for, or it is not uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_tinyml.errors import SubmissionError, UnknownNameError
from pytest_tinyml.kaggle.competitions import COMPETITIONS, check_submission, get_competition, write_submission

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGITS = COMPETITIONS["digit-recognizer"]
PREDICTIONS = np.arange(28_000) % 10


def test_file(tmp_path: Path) -> None:
    """28,000 lines behind the header, ids from 1, in a folder that need not be there."""
    path = tmp_path / "new" / "submission.csv"
    write_submission(path, DIGITS, PREDICTIONS)
    lines = path.read_text().split("\n")
    assert ["ImageId,Label", "1,0", "2,1"] == lines[:3]
    assert ["28000,9", ""] == lines[-2:]
    assert 28_002 == len(lines)


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "header": (lambda data: data.replace(b"ImageId", b"Id"), "line 1: the header is 'Id,Label', expected ImageId,"),
    "header of windows": (lambda data: data.replace(b"Label\n", b"Label\r\n"), "line 1: the header is"),
    "no end": (lambda data: data[:-1], "line 28001: the last line has no end"),
    "order": (lambda data: data.replace(b"\n7,6\n8,7\n", b"\n8,7\n7,6\n"), "line 8: the id is '8', expected 7"),
    "twice": (lambda data: data.replace(b"\n8,7\n", b"\n7,6\n8,7\n"), "line 9: the id is '7', expected 8"),
    "gap": (lambda data: data.replace(b"\n8,7\n", b"\n"), "line 9: the id is '9', expected 8"),
    "too few": (lambda data: data[: data.index(b"28000,")], "27,999 predictions, but digit-recognizer takes 28,000"),
    "too many": (lambda data: data + b"28001,0\n", "28,001 predictions, but digit-recognizer takes 28,000"),
    "empty": (lambda _: b"", "line 1: the header is ''"),
    "no label": (lambda data: data.replace(b"\n8,7\n", b"\n8,\n"), "line 9: the prediction is '', expected 0 .. 9"),
    "label 10": (lambda data: data.replace(b"\n8,7\n", b"\n8,10\n"), "line 9: the prediction is '10'"),
    "label 07": (lambda data: data.replace(b"\n8,7\n", b"\n8,07\n"), "line 9: the prediction is '07'"),
    "label -1": (lambda data: data.replace(b"\n8,7\n", b"\n8,-1\n"), "line 9: the prediction is '-1'"),
    "float": (lambda data: data.replace(b"\n8,7\n", b"\n8,7.0\n"), "line 9: the prediction is '7.0'"),
    "column": (lambda data: data.replace(b"\n8,7\n", b"\n8,7,7\n"), "line 9: the prediction is '7,7'"),
    "not ascii": (lambda data: data.replace(b"\n8,7\n", b"\n8,\xb2\n"), "is not ASCII"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rules(tmp_path: Path, name: str) -> None:
    """A file that breaks a rule is refused, with the line."""
    path = tmp_path / "submission.csv"
    write_submission(path, DIGITS, PREDICTIONS)
    change, message = BROKEN[name]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SubmissionError) as caught:
        check_submission(path, DIGITS)
    assert message in str(caught.value)
    assert not caught.value.doubt


@pytest.mark.parametrize("wrong", [PREDICTIONS[:-1], np.append(PREDICTIONS, 0), PREDICTIONS + 1])
def test_wrong_predictions_are_not_written_unnoticed(tmp_path: Path, wrong: np.ndarray) -> None:
    """Too few, too many or impossible predictions are refused when the file is made."""
    with pytest.raises(SubmissionError):
        write_submission(tmp_path / "submission.csv", DIGITS, wrong)


def test_unwritable(tmp_path: Path) -> None:
    """A place that cannot be written, or read, is named."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SubmissionError, match=r"cannot write .*file/below"):
        write_submission(tmp_path / "file" / "below.csv", DIGITS, PREDICTIONS)
    with pytest.raises(SubmissionError, match=r"cannot read .*absent\.csv"):
        check_submission(tmp_path / "absent.csv", DIGITS)


def test_unknown_competition() -> None:
    """Another competition is refused with those that are known."""
    with pytest.raises(UnknownNameError, match=r"no competition named 'titanic'\. Known: digit-recognizer"):
        get_competition("titanic")
