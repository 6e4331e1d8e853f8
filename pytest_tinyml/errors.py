"""Every exception that pytest-tinyml raises on purpose.

TinymlError
├── UsageError                 what the user asked for cannot be done; nothing was run
│   ├── UnknownNameError       no board, model, engine, ... of that name; says which are known
│   ├── ModelError             the model file is not usable
│   │   └── UnsupportedOperatorError   ... because an engine lacks one of its operators
│   ├── DatasetError           the data set is not usable; file, offset, expected, got
│   ├── MissingDependencyError a Python package of an extra is absent; names the pip command
│   ├── MissingToolError       a program is absent; names the command that installs it
│   ├── CredentialsError       there are none for Kaggle, or Kaggle refuses them; says where they are looked for
│   ├── JournalError           the journal cannot be used (other schema, locked, damaged)
│   └── BaselineError          a baseline cannot be used: damaged, of another schema, or of something else
├── BuildError                 a compiler or converter failed; carries its output's path
│   └── DoesNotFitError        ... because the part's memory is too small for the model
├── WireError                  bytes that are not a well-formed frame or message
├── BoardError                 the board failed while it was in use
│   ├── BoardTimeoutError      ... it did not answer within its bound
│   ├── BoardCrashedError      ... its process or processor died
│   ├── BoardReportedError     ... it sent an ERROR message
│   └── IdentityError          ... it is not the board, model or firmware that was asked for
├── CanaryError                the canary samples disagree before the run was started
├── SubmissionError            predictions were not submitted to a competition, or it is not known whether they were
└── ReportError                the report folder cannot be written
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


class TinymlError(Exception):
    """The base of all errors of pytest-tinyml."""


class UsageError(TinymlError):
    """A request that cannot be carried out; raised before work is spent."""


class UnknownNameError(UsageError):
    """No such board, model, engine, link or reference.

    Args:
        what: the noun, e.g. ``board``.
        name: what was asked for.
        known: every name that would have been accepted.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """Compose the message, with the closest known name first."""
        self.what, self.name, self.known = what, name, tuple(sorted(known))
        close = difflib.get_close_matches(name, self.known, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        listed = ", ".join(self.known) or "none"
        super().__init__(f"no {what} named {name!r}{hint} Known: {listed}")


class ModelError(UsageError):
    """A model file that cannot be used; the message names the file and the reason."""


class UnsupportedOperatorError(ModelError):
    """A model with an operator that the engine does not implement.

    Args:
        model: name or path of the model.
        engine: the engine that refused it.
        index: 0-based position of the operator in the graph.
        operator: its TensorFlow Lite name, e.g. ``DEPTHWISE_CONV_2D``.
        reason: what exactly is not supported.
    """

    def __init__(self, model: str, engine: str, index: int, operator: str, reason: str) -> None:
        """Compose the message from the operator's place and name."""
        self.model, self.engine, self.index, self.operator = model, engine, index, operator
        super().__init__(f"{model}: operator {index} {operator} is not supported by engine {engine!r}: {reason}")


class DatasetError(UsageError):
    """A data set that cannot be used.

    Args:
        path: the file.
        problem: what is wrong.
        expected: what should have been there, if that can be said.
        got: what was there.
        offset: 0-based byte offset (or line number, as the problem says) in the file.
    """

    def __init__(
        self, path: Path | str, problem: str, *, expected: object = None, got: object = None, offset: int | None = None
    ) -> None:
        """Compose the message from file, offset, expected and got."""
        self.path, self.problem, self.expected, self.got, self.offset = path, problem, expected, got, offset
        at = "" if offset is None else f" at offset {offset}"
        detail = "" if expected is None and got is None else f": expected {expected}, got {got}"
        super().__init__(f"{path}{at}: {problem}{detail}")


class MissingDependencyError(UsageError):
    """A Python package that an extra brings is not installed.

    Args:
        package: the package's name on the index.
        extra: the extra of pytest-tinyml that brings it.
        purpose: what it is needed for.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Compose the message with the pip command."""
        self.package, self.extra = package, extra
        super().__init__(f"{purpose} needs {package}: pip install 'pytest-tinyml[{extra}]'")


class MissingToolError(UsageError):
    """A program is not installed.

    Args:
        tool: the program's name.
        purpose: what it is needed for.
        install: the command that installs it.
    """

    def __init__(self, tool: str, purpose: str, install: str) -> None:
        """Compose the message with the install command."""
        self.tool, self.install = tool, install
        super().__init__(f"{purpose} needs {tool}, which was not found: {install}")


class CredentialsError(UsageError):
    """There are no credentials for Kaggle, or Kaggle refuses them; the message never holds one."""


class JournalError(UsageError):
    """The journal of a run cannot be used; the message says what to do with it."""


class BaselineError(UsageError):
    """A baseline cannot be used, or not compared with this run; the message says what to do about it."""


class BuildError(TinymlError):
    """A compiler, linker or converter failed.

    Args:
        message: what was being built and the first error line.
        log_path: the file with the tool's whole output.
    """

    def __init__(self, message: str, log_path: Path | None = None) -> None:
        """Append the log's path to the message."""
        self.message, self.log_path = message, log_path
        super().__init__(message)

    def keep_log(self, log_path: Path) -> None:
        """Say where the tool's output was put, known only when the failed build is cleared away."""
        self.log_path = log_path

    def __str__(self) -> str:
        """Return the message and the log's path."""
        return self.message if self.log_path is None else f"{self.message}\nfull output: {self.log_path}"


class DoesNotFitError(BuildError):
    """The firmware for a model is larger than the part.

    Args:
        message: which memory, by how many bytes, and which boards would do.
        needed: bytes that it takes of each memory of which there is too little, by name.
        sizes: bytes that these memories have, as far as that is known.
    """

    def __init__(self, message: str, needed: Mapping[str, int], sizes: Mapping[str, int] | None = None) -> None:
        """Keep the numbers beside the text."""
        self.needed, self.sizes = dict(needed), dict(sizes or {})
        super().__init__(message)


class WireError(TinymlError):
    """Bytes that are not a well-formed frame or message.

    Args:
        code: the error code of PROTOCOL.md section 3 that a board would answer with.
        text: what is wrong.
        seq: the frame's sequence number where it can be trusted, else 0.
    """

    def __init__(self, code: int, text: str, seq: int = 0) -> None:
        """Keep the code beside the text."""
        self.code, self.seq = code, seq
        super().__init__(text)


class BoardError(TinymlError):
    """A board failed while it was in use.

    Args:
        message: what happened.
        board: the board's name.
        last_sample: id of the last sample that it answered, or None.
        console_tail: its last console lines.
        log_path: the file with the whole console.
    """

    def __init__(
        self,
        message: str,
        *,
        board: str = "",
        last_sample: int | None = None,
        console_tail: Sequence[str] = (),
        log_path: Path | None = None,
    ) -> None:
        """Compose the message with the console's tail under it."""
        self.message, self.board, self.last_sample = message, board, last_sample
        self.console_tail, self.log_path = tuple(console_tail), log_path
        super().__init__(message)

    def __str__(self) -> str:
        """Return the message, the last sample and the console's tail, as far as they are known."""
        lines = [f"board {self.board!r}: {self.message}" if self.board else self.message]
        if self.last_sample is not None:
            lines.append(f"last sample answered: {self.last_sample}")
        if self.console_tail:
            lines.append("console tail:")
            lines.extend(f"    {line}" for line in self.console_tail)
        if self.log_path is not None:
            lines.append(f"console log: {self.log_path}")
        return "\n".join(lines)


class BoardTimeoutError(BoardError):
    """The board did not answer within its bound."""


class BoardCrashedError(BoardError):
    """The board's process ended, or its processor reported a fault.

    Attributes:
        running: id of the sample that was being inferred, if the board could say.
    """

    running: int | None = None


class BoardReportedError(BoardError):
    """The board sent an ERROR message; see PROTOCOL.md section 3."""

    code: int = 0


class IdentityError(BoardError):
    """The board is not what was asked for: other protocol, firmware, model, tensors or clock."""


class CanaryError(TinymlError):
    """The canary samples disagree: preprocessing, engine or state; the message says which."""


class SubmissionError(TinymlError):
    """A submission did not come about.

    Args:
        message: why, and what can be done.
        doubt: it is not known whether the submission was made: look at the competition's list before trying again.
        retry_after_s: what the server asked to wait before the next attempt, or None.
    """

    def __init__(self, message: str, *, doubt: bool = False, retry_after_s: float | None = None) -> None:
        """Keep what decides whether it may be tried again."""
        self.doubt, self.retry_after_s = doubt, retry_after_s
        super().__init__(message)


class ReportError(TinymlError):
    """The report folder cannot be written; the results are safe in the journal."""
