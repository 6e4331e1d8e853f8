"""From names on a command line to a campaign: everything is looked up and checked before work is spent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import floor
from typing import TYPE_CHECKING, Final

from pytest_tinyml.boards.base import BoardRequest, check_model, engine_for, resolution_of, to_nobody
from pytest_tinyml.boards.boardmap import BoardMap
from pytest_tinyml.campaign.choices import choose_model
from pytest_tinyml.campaign.desk import asked_boards
from pytest_tinyml.campaign.reference import ReferenceRun
from pytest_tinyml.campaign.run import Campaign
from pytest_tinyml.campaign.samples import SampleEncoder, check_shapes
from pytest_tinyml.campaign.settings import CampaignSettings
from pytest_tinyml.engines.select import absolute_tolerance
from pytest_tinyml.errors import UsageError
from pytest_tinyml.records import PreprocessSpec
from pytest_tinyml.references import get_reference, reference_for
from pytest_tinyml.stores.datasets import load_dataset
from pytest_tinyml.stores.journal import Journal
from pytest_tinyml.verdict.compare import Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_tinyml.boards.base import Board, BoardKind
    from pytest_tinyml.boards.registry import Registry
    from pytest_tinyml.links.http import ImageServer
    from pytest_tinyml.records import Dataset, Model, TensorSpec
    from pytest_tinyml.references.base import Reference

HTTP: Final = "http"
"""The link over which boards pull from the host's image server."""
INEXACT: Final = Tolerance(lsb=32, absolute=1e-5)
"""Against a reference with other kernels; docs/benchmarks.md has the largest differences seen: 25 LSB and 1.8e-6."""


NO_BOARDS: Final = BoardMap()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, checked as far as that is possible without a board.

    Attributes:
        kind: of board.
        model: to execute.
        dataset: to run it over.
        samples: how many, from the first.
        reference: the runtime on the host to compare with.
        tolerance: how far a board may be from the reference.
        link: how samples travel.
        clock: what inferences are timed with; None for the board's first.
        count: number of boards.
        options: board-specific settings.
        host: address that the image server listens on; None lets the board choose by the route to it.
        device: where real hardware is, see `BoardRequest.device`; several boards' values have ``|`` between them.
        say: tells the user what a board waits for, see `BoardRequest.say`.
        id: of the board in the user's file of boards; empty for any of its kind.
    """

    kind: BoardKind
    model: Model
    dataset: Dataset
    samples: int
    reference: Reference
    tolerance: Tolerance
    link: str
    clock: str | None = None
    count: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    device: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], object] = to_nobody
    id: str = ""

    @property
    def name(self) -> str:
        """What the board was asked for as: its id, or its kind's name."""
        return self.id or self.kind.name

    @property
    def verifiable(self) -> bool:
        """Whether the boards can be asked what they run."""
        return bool(getattr(self.kind, "verifiable", True))

    @property
    def canaried(self) -> bool:
        """Whether the boards answer canaries."""
        return self.verifiable or bool(getattr(self.kind, "answers_canaries", False))

    @property
    def expected_clock(self) -> str:
        """The clock that was asked for, or else the one that a board of this kind has by default."""
        return self.clock or self.kind.clocks[0]


def make_plans(  # noqa: PLR0913 - as many as there are options, all by name
    registry: Registry,
    *,
    boards: Sequence[str],
    model: str,
    dataset: str | Dataset,
    reference: str | None,
    preprocess: str | None = None,
    limit: int | None = None,
    max_lsb: int | None = None,
    max_abs: float | None = None,
    task: str | None = None,
    link: str | None = None,
    clock: str | None = None,
    count: int = 1,
    options: Mapping[str, str] | None = None,
    host: str | None = None,
    device: Mapping[str, str] | None = None,
    desk: BoardMap = NO_BOARDS,
) -> list[Plan]:
    """Look everything up and refuse what cannot work, for all boards before the first is used.

    Returns:
        A plan per board, in their order; model, data set and reference are the same objects.

    Raises:
        UsageError: with one message that says what is wrong and what would do.
    """
    asked = asked_boards(
        registry, desk, boards, link=link, clock=clock, count=count, options=options or {}, device=device or {}
    )
    chosen = choose_model(model, preprocess, task)
    for each in asked:
        check_model(each.kind, chosen, options or {})
    data = load_dataset(dataset, shape=chosen.input.shape[1:]) if isinstance(dataset, str) else dataset
    if data.images.dtype.kind == "f" and chosen.preprocess.assumed:
        # No card says otherwise, and float samples are not pixels.
        chosen = replace(chosen, preprocess=PreprocessSpec(kind="none", assumed=True))
    check_shapes(chosen, data)
    runtime = get_reference(reference_for(reference, chosen))
    _ = runtime.runtime_version  # says what is missing
    return [
        Plan(
            kind=each.kind,
            id=each.id,
            model=chosen,
            dataset=data,
            samples=min(limit or len(data), len(data)),
            reference=runtime,
            tolerance=_as_printed(
                _tolerance(
                    _usual_tolerance(each.kind, chosen, runtime, each.options), max_lsb=max_lsb, max_abs=max_abs
                ),
                resolution_of(each.kind, each.options),
                chosen.output,
            ),
            link=each.link or each.kind.links[0],
            clock=clock,
            count=count,
            options=each.options,
            host=host,
            device=each.device,
        )
        for each in asked
    ]


def _usual_tolerance(kind: BoardKind, model: Model, runtime: Reference, options: Mapping[str, str]) -> Tolerance:
    """Return how far boards of a kind may be from a reference, if nobody asked for something else."""
    labels_only = getattr(kind, "labels_only", None)
    only = labels_only is not None and labels_only(options)
    usual = INEXACT
    if runtime.exact:
        usual = Tolerance(absolute=absolute_tolerance(engine_for(kind, model, options), model))
    return replace(usual, labels_only=only)


def _tolerance(usual: Tolerance, *, max_lsb: int | None, max_abs: float | None) -> Tolerance:
    """Return a tolerance with what was asked for."""
    return replace(
        usual,
        lsb=usual.lsb if max_lsb is None else max_lsb,
        absolute=usual.absolute if max_abs is None else max_abs,
    )


def _as_printed(tolerance: Tolerance, resolution: float, output: TensorSpec) -> Tolerance:
    """Return a tolerance for outputs that are known to `resolution`."""
    if output.dtype == "float32":
        return replace(tolerance, absolute=tolerance.absolute + resolution)
    # A quantised output is the value nearest to what the board said: the right one while half a step is more.
    return replace(tolerance, lsb=tolerance.lsb + floor(resolution / output.scale + 0.5))


def make_server(plan: Plan) -> ImageServer | None:
    """Make what the boards of a plan pull from, if they do; it listens when the first of them is opened."""
    if plan.link != HTTP:
        return None
    # Takes a while, and most links do without.
    from pytest_tinyml.links.http import ImageServer, ServedRun  # noqa: PLC0415

    run = ServedRun(model=plan.model, dataset=plan.dataset, samples=plan.samples)
    return ImageServer(host=plan.host or "", run=run)


def make_boards(plan: Plan, work_dir: Path, timeout_s: float, server: ImageServer | None = None) -> list[Board]:
    """Make the boards of a plan; nothing is started.

    Args:
        plan: says which.
        work_dir: for their logs.
        timeout_s: longest silence.
        server: from `make_server`.

    Raises:
        UsageError: the folder for their logs cannot be written.
    """
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        return [
            plan.kind.create(
                BoardRequest(
                    model=plan.model,
                    work_dir=work_dir,
                    index=index,
                    link=plan.link,
                    clock=plan.clock,
                    timeout_s=timeout_s,
                    options=plan.options,
                    server=server,
                    device=_device_of(plan, index),
                    say=plan.say,
                )
            )
            for index in range(plan.count)
        ]
    except OSError as error:
        msg = f"cannot write to the report folder {work_dir}: {error.strerror}; choose another with --tinyml-report"
        raise UsageError(msg) from error


def _device_of(plan: Plan, index: int) -> dict[str, str]:
    """Return one board's part of pytest-embedded's options, which are for all boards or have ``|`` between them.

    Raises:
        UsageError: there are as many parts as neither one nor the boards.
    """
    chosen: dict[str, str] = {}
    for name, text in plan.device.items():
        parts = text.split("|")
        if len(parts) not in {1, plan.count}:
            option = name.replace("_", "-")
            msg = f"--{option} names {len(parts)} boards, --tinyml-count is {plan.count}"
            raise UsageError(msg)
        chosen[name] = parts[index % len(parts)]
    return chosen


def make_campaign(plan: Plan, *, journal: Path, work_dir: Path, timeout_s: float, fresh: bool) -> Campaign:
    """Make the campaign of a plan; nothing is started.

    Raises:
        UsageError: the journal or the folder for logs cannot be used.
    """
    server = make_server(plan)
    boards = make_boards(plan, work_dir, timeout_s, server)
    encoder = SampleEncoder(plan.model, plan.dataset)
    reference = ReferenceRun(plan.reference, plan.model, plan.dataset, encoder, samples=plan.samples)
    settings = CampaignSettings(
        kind=plan.kind.name,
        id=plan.id,
        engine=engine_for(plan.kind, plan.model, plan.options),
        link=plan.link,
        clock=plan.clock,
        samples=plan.samples,
        # Nobody could say whether what goes on is what had begun.
        fresh=fresh or not plan.verifiable,
        verifiable=plan.verifiable,
        canaried=plan.canaried,
        resolution=resolution_of(plan.kind, plan.options),
        tolerance=plan.tolerance,
    )
    return Campaign(
        plan.model,
        plan.dataset,
        boards,
        encoder=encoder,
        journal=Journal(journal),
        reference=reference,
        settings=settings,
        server=server,
    )
