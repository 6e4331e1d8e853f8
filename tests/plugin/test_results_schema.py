"""results.json is what its schema and its documentation say, however the run ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from pytest_tinyml.report.results import SCHEMA
from tests.projects import OWN, S1, results_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.projects import Project

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reference" / "results.md"
REQUIRED: Final = (
    *("schema", "board.name", "board.engine", "board.clock", "model.name", "model.sha256"),
    *("dataset.name", "dataset.sha256", "dataset.count", "reference.name"),
    *("metrics.top1_board", "metrics.top1_reference", "metrics.argmax_agreement", "metrics.bit_exact_ratio"),
    *("metrics.max_lsb", "metrics.flips", "latency.p50", "throughput.samples_per_s", "passed"),
)
"""The keys that are promised whatever else changes."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema in the package."""
    return results_schema()


def _keys(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield all keys of a schema, dotted; ``[]`` stands for the members of a list."""
    for key, value in schema.get("properties", {}).items():
        yield f"{prefix}{key}"
        yield from _keys(value, f"{prefix}{key}.")
        yield from _keys(value.get("items", {}), f"{prefix}{key}[].")
        for choice in value.get("oneOf", ()):
            yield from _keys(choice, f"{prefix}{key}.")


def test_schema_is_one(schema: dict[str, Any]) -> None:
    """The schema itself is valid, and of the version that results carry."""
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA


def test_promised_keys_are_required(schema: dict[str, Any]) -> None:
    """What the project promises cannot be left out."""
    for key in REQUIRED:
        table = schema
        for part in key.split("."):
            assert part in table["required"]
            table = table["properties"][part]


def test_every_key_is_documented(schema: dict[str, Any]) -> None:
    """The reference has one row per key, and no row for a key that does not exist."""
    rows = [line.split("`")[1] for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(set(_keys(schema)))


ONCE: Final = "--tinyml-option=fault-once=happened"
"""How many results are lost with the board depends on the machine's speed; it may have to start all over."""

RUNS: dict[str, tuple[tuple[str, ...], bool]] = {
    "complete": (OWN, True),
    "unlabelled": ((*OWN[:-1], "unlabelled.npz"), True),
    "float": (("--board", "tflm", "--tinyml-model", "s1-float", "--tinyml-limit", "100"), True),
    "inexact reference": ((*OWN, "--tinyml-reference", "litert"), True),
    "incomplete": ((*OWN, "--tinyml-shard-size=5", "--tinyml-option=fault=slow=100000", "-k", "00000-00004"), False),
    "never started": ((*OWN, "--tinyml-option=fault=state"), False),
    "never opened": ((*OWN, "--tinyml-option=fault=nonsense"), False),
    "failed sample": ((*S1, "--tinyml-limit=100", "--tinyml-option=fault=engine-error@30"), False),
    "restarts": ((*S1, "--tinyml-limit=200", "--tinyml-option=fault=crash@190", ONCE), True),
    "two boards": ((*S1, "--tinyml-limit=2000", "--tinyml-count=2"), True),
}


@pytest.mark.parametrize("name", RUNS)
def test_real_results(project: Project, schema: dict[str, Any], name: str) -> None:
    """Results of a real run are as the schema says."""
    project.data("unlabelled.npz", labels=None)
    arguments, passed = RUNS[name]
    project.run(*arguments)
    results = project.results()
    jsonschema.validate(results, schema, cls=jsonschema.Draft202012Validator)
    assert results["passed"] is passed, results["problems"]


def test_unknown_key_is_refused(project: Project, schema: dict[str, Any]) -> None:
    """The schema notices a key that is not documented, and a value of the wrong type."""
    project.run(*OWN)
    results = project.results()
    for table, value in (("metrics", {"surprise": 1}), ("metrics", {"flips": ["#3"]}), ("board", {"clock": "sun"})):
        broken = results | {table: results[table] | value}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema, cls=jsonschema.Draft202012Validator)
