"""Competitions that predictions can be submitted to, and the files that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_tinyml.errors import SubmissionError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Competition:
    """What a competition asks for: one line per sample, its id and the predicted class.

    Attributes:
        name: as in the address of its page.
        header: names of the two columns.
        first_id: id of the first line; the ids that follow are consecutive.
        count: lines behind the header, neither more nor fewer.
        classes: a prediction is 0 to classes - 1.
    """

    name: str
    header: tuple[str, str]
    first_id: int
    count: int
    classes: int

    @property
    def page(self) -> str:
        """Where its rules are read and accepted."""
        return f"https://www.kaggle.com/competitions/{self.name}"


COMPETITIONS: Final = {
    competition.name: competition
    for competition in (
        Competition(name="digit-recognizer", header=("ImageId", "Label"), first_id=1, count=28_000, classes=10),
    )
}


def get_competition(name: str) -> Competition:
    """Return a competition by name.

    Raises:
        UnknownNameError: it is not one of `COMPETITIONS`.
    """
    if name not in COMPETITIONS:
        raise UnknownNameError("competition", name, COMPETITIONS)
    return COMPETITIONS[name]


def write_submission(path: Path, competition: Competition, predictions: npt.NDArray[np.int64]) -> None:
    """Write the file that is uploaded, and check it as the competition would.

    Args:
        path: of the file; its folder is made if absent.
        competition: whose rules it follows.
        predictions: int64 [N], the class of each sample in the data set's order.

    Raises:
        SubmissionError: the file cannot be written, or breaks a rule, e.g. because N is not the competition's count.
    """
    ids = range(competition.first_id, competition.first_id + len(predictions))
    lines = [
        ",".join(competition.header),
        *(f"{k},{label}" for k, label in zip(ids, predictions.tolist(), strict=True)),
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise SubmissionError(msg) from error
    check_submission(path, competition)


def check_submission(path: Path, competition: Competition) -> None:
    """Check a file against the competition's rules: header, ids complete and in order, range of the predictions.

    Raises:
        SubmissionError: it breaks one; the message names the line (1-based, the header is line 1).
    """
    try:
        text = path.read_bytes().decode("ascii")
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise SubmissionError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is not ASCII"
        raise SubmissionError(msg) from error
    header, *lines = text.split("\n")
    if header != ",".join(competition.header):
        raise _broken(path, 1, f"the header is {header[:60]!r}", ",".join(competition.header))
    if lines[-1:] != [""]:
        raise _broken(path, len(lines) + 1, "the last line has no end", "a line feed")
    lines.pop()
    for number, line in enumerate(lines[: competition.count], start=2):
        wanted = str(competition.first_id + number - 2)
        sample, _, label = line.partition(",")
        if sample != wanted:
            raise _broken(path, number, f"the id is {sample[:20]!r}", wanted)
        if not (label.isdigit() and label == str(int(label)) and int(label) < competition.classes):
            raise _broken(path, number, f"the prediction is {label[:20]!r}", f"0 .. {competition.classes - 1}")
    if len(lines) != competition.count:
        msg = f"{path}: {len(lines):,} predictions, but {competition.name} takes {competition.count:,}"
        raise SubmissionError(msg)


def _broken(path: Path, line: int, got: str, expected: str) -> SubmissionError:
    return SubmissionError(f"{path}, line {line}: {got}, expected {expected}")
