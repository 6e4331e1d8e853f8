"""Looks at one run now and then, and puts what is to be seen into the feed."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_tinyml.campaign.progress import Standing
from pytest_tinyml.errors import JournalError
from pytest_tinyml.report.live.boards import board_rows
from pytest_tinyml.report.live.history import History
from pytest_tinyml.report.live.pictures import picture
from pytest_tinyml.report.terminal import SHOWN_PROBLEMS, verdict
from pytest_tinyml.verdict.compare import predictions
from pytest_tinyml.verdict.metrics import dequantize
from pytest_tinyml.verdict.stats import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_tinyml.report.live.feed import Feed
    from pytest_tinyml.report.live.source import Source
    from pytest_tinyml.stores.runs import Event
    from pytest_tinyml.verdict.compare import Flip

RECENT: Final = 12
FLIPS: Final = 24
_EVENTS: Final = 8
_VALUES: Final = 3


class Observer:
    """One run's part of the page; used by the server's loop alone.

    Args:
        source: the run.
        index: its place among the session's, which its sections' names begin with.
        feed: receives them.
    """

    def __init__(self, source: Source, index: int, feed: Feed) -> None:
        """Look at nothing yet."""
        self._source, self._index, self._feed = source, index, feed
        self._standing: Standing | None = None
        self._history = History()
        self._seconds = 0.0
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._events: Sequence[Event] = ()
        self._pictures: dict[int, str | None] = {}

    def look(self, *, watched: bool, draw: bool = True) -> None:
        """Count what is new; where nobody watches, that is all.

        Args:
            watched: somebody does.
            draw: put also what a browser takes longest to draw: curves and pictures.
        """
        self._count()
        if not watched:
            return
        source, campaign = self._source, self._source.campaign
        self._ask_events()
        restarts = Counter(event.board for event in self._events if event.kind == "restart")
        self._put("facts", self._facts())
        self._put("state", self._state())
        self._put("boards", board_rows(campaign, restarts))
        if draw:
            self._put("history", self._history.points())
            self._put("recent", self._samples())
            self._put("flips", self._flips())
        problems = source.results["problems"] if source.results is not None else source.failures
        self._put(
            "notes",
            {
                "problems": [text[:400] for text in problems[:SHOWN_PROBLEMS]],
                "more": max(0, len(problems) - SHOWN_PROBLEMS),
                "events": [
                    {"at": event.at, "board": event.board, "kind": event.kind, "text": event.text[:400]}
                    for event in self._events[: -_EVENTS - 1 : -1]
                ],
            },
        )

    def _put(self, name: str, content: object) -> None:
        self._feed.put(f"{self._index}/{name}", content)

    def _count(self) -> None:
        campaign = self._source.campaign
        if campaign.started_at is None:
            return
        if self._standing is None:
            standing = self._standing = Standing(campaign)
            fresh = np.flatnonzero(standing.answered)
        else:
            standing = self._standing
            fresh = standing.look()
        self._recent.extend(fresh[-RECENT:].tolist())
        now = standing.progress()
        top1, agreement = self._shares(standing)
        over = campaign.queue.finished and campaign.wall_s
        seconds = campaign.wall_s if over else time.monotonic() - campaign.started_at
        self._seconds = round(seconds, 2)
        self._history.add((self._seconds, now.done, *_triple(top1), *_triple(agreement)))

    def _shares(self, standing: Standing) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return top-1 and agreement so far, each with its interval; None where nothing can be said."""
        answered = int(standing.answered.sum())
        top1 = None if standing.correct is None else _share(standing.correct, answered)
        return top1, _share(standing.equal, standing.compared)

    def _ask_events(self) -> None:
        # When the journal is closed, what was asked last is all there is.
        with suppress(JournalError):
            if self._source.campaign.started_at is not None:
                self._events = self._source.campaign.run.events()

    def _facts(self) -> dict[str, Any]:
        campaign = self._source.campaign
        model, settings, bench = campaign.model, campaign.settings, campaign.bench
        identity = bench.identities.get(bench.boards[0].name)
        return {
            "name": self._source.name,
            "model": model.name,
            "model_sha256": model.sha256,
            "task": model.task,
            "dataset": campaign.dataset.name,
            "labelled": campaign.dataset.labels is not None or campaign.dataset.targets is not None,
            "board": settings.id or settings.kind,
            "chip": None if identity is None else identity.chip,
            "engine": settings.engine if identity is None else identity.engine,
            "link": settings.link,
            "clock": None if identity is None else identity.clock.name.lower(),
            "firmware_sha256": bench.firmware_sha256 or None,
            "reference": campaign.reference.name,
            "compared": "labels" if settings.tolerance.labels_only else "scores",
        }

    def _state(self) -> dict[str, Any]:
        source, campaign, standing = self._source, self._source.campaign, self._standing
        state: dict[str, Any] = {
            "phase": _phase(source, standing),
            "test": source.current.rpartition("::")[2],
            "done": 0,
            "total": campaign.settings.samples,
        }
        if source.broken is not None:
            state["broken"] = str(source.broken[1]).splitlines()[0][:400]
        if standing is None:
            return state
        now = standing.progress()
        top1, agreement = self._shares(standing)
        labels_only, early = campaign.settings.tolerance.labels_only, campaign.early
        return state | {
            "early": None if early is None else early.text if early.certain else "",
            "done": now.done,
            "resumed": campaign.run.resumed,
            "failed": len(campaign.run.failed),
            "rate": round(now.rate_per_s, 1),
            "eta_s": None if now.eta_s is None or campaign.queue.finished else round(now.eta_s),
            "elapsed_s": self._seconds,
            "top1": top1,
            "agreement": agreement,
            "rmse": None if standing.fit is None else _finite(standing.fit.fit().rmse),
            "compared": now.compared,
            "differing": None if labels_only else standing.differing,
        }

    def _samples(self) -> list[dict[str, Any]]:
        """Return the newest answers, the newest first."""
        standing = self._standing
        if standing is None or not self._recent:
            return []
        campaign = standing.campaign
        ids = np.array(self._recent)[::-1]
        known = campaign.reference.done[ids]
        texts = [self._texts(scores) for scores in (standing.scores(ids), campaign.reference.scores[ids])]
        wanted = {sample: self._pictures.get(sample) or self._picture(sample) for sample in ids.tolist()}
        flips = {flip.id for flip in standing.flips[-FLIPS:]}
        self._pictures = {k: image for k, image in self._pictures.items() if k in flips} | wanted
        return [
            {
                "id": sample,
                "picture": wanted[sample],
                "board": board,
                "host": host if done else None,
                "label": self._truth(sample),
            }
            for sample, board, host, done in zip(ids.tolist(), *texts, known.tolist(), strict=True)
        ]

    def _flips(self) -> dict[str, Any]:
        standing = self._standing
        if standing is None:
            return {"count": 0, "shown": []}
        return {"count": len(standing.flips), "shown": [self._flip(flip) for flip in standing.flips[: -FLIPS - 1 : -1]]}

    def _flip(self, flip: Flip) -> dict[str, Any]:
        if flip.id not in self._pictures:
            self._pictures[flip.id] = self._picture(flip.id)
        return {
            "id": flip.id,
            "picture": self._pictures[flip.id],
            "board": self._name(flip.board),
            "host": self._name(flip.reference),
            "label": None if flip.label is None else self._name(flip.label),
        }

    def _picture(self, sample: int) -> str | None:
        return picture(self._source.campaign.dataset.images[sample])

    def _texts(self, scores: Any) -> list[str]:  # noqa: ANN401 - of the output's dtype
        """Return what each sample was taken for: the class, or the first values of a regression."""
        model = self._source.campaign.model
        if model.task == "regression":
            values = dequantize(scores, model.output).reshape(len(scores), -1)
            return [_values(row) for row in values]
        return [self._name(number) for number in predictions(scores, model.output).tolist()]

    def _truth(self, sample: int) -> str | None:
        data = self._source.campaign.dataset
        if data.targets is not None and self._source.campaign.model.task == "regression":
            return _values(data.targets[sample])
        return None if data.labels is None else self._name(int(data.labels[sample]))

    def _name(self, number: int) -> str:
        names = self._source.campaign.dataset.class_names
        return names[number] if 0 <= number < len(names) else str(number)


def _phase(source: Source, standing: Standing | None) -> str:
    """Return one word for where the run is."""
    campaign = source.campaign
    if source.results is not None:
        return verdict(source.results).lower()
    if source.broken is not None:
        return "broken"
    if standing is None:
        if not source.current:
            return "waiting"
        return "checking" if campaign.bench.identities else "preparing"
    if not campaign.queue.finished:
        return "running"
    return "judging" if campaign.reference.done.all() else "comparing"


def _share(part: int, whole: int) -> dict[str, Any] | None:
    if not whole:
        return None
    interval = wilson(part, whole)
    return {"value": interval.value, "low": interval.low, "high": interval.high, "part": part, "whole": whole}


def _triple(share: dict[str, Any] | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if share is None else (share["value"], share["low"], share["high"])


def _values(row: Any) -> str:  # noqa: ANN401 - an array of floats
    shown = ", ".join(f"{value:.4g}" for value in row[:_VALUES])
    return f"{shown}, …" if len(row) > _VALUES else shown


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
