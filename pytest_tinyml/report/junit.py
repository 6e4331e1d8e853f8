"""A run as JUnit XML: what it was about as properties, and a test case for the verdict, each gate and each shard.

The elements are those that Jenkins and GitLab read, https://github.com/testmoapp/junitxml describes them. pytest's own
``--junitxml`` has a case per test, and is given the same properties.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from pytest_tinyml.report.terminal import other_problems, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_tinyml.report.shards import Shard

# What XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets).
_NO_CHARACTER: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def properties(results: dict[str, Any]) -> dict[str, str]:
    """Return what a run was about, and its figures; what is not known is not there."""
    board, model, metrics, latency = results["board"], results["model"], results["metrics"], results["latency"]
    git = results.get("git") or {}
    values = {
        "verdict": verdict(results),
        "board": board["id"] or board["name"],
        "board_kind": board["name"],
        "chip": board["chip"],
        "engine": board["engine"],
        "link": board["link"],
        "firmware_sha256": board["firmware_sha256"] or None,
        "model": model["name"],
        "model_sha256": model["sha256"],
        "dataset": results["dataset"]["name"],
        "dataset_sha256": results["dataset"]["sha256"],
        "samples": metrics["count"],
        "reference": f"{results['reference']['name']} {results['reference']['version']}",
        "agreement": metrics["argmax_agreement"],
        "bit_exact": metrics["bit_exact_ratio"],
        "top1": metrics["top1_board"],
        "top1_host": metrics["top1_reference"],
        "flips": None if metrics["argmax_agreement"] is None else len(metrics["flips"]),
        "rmse": None if metrics["regression"] is None else metrics["regression"]["board"]["rmse"],
        f"latency_p50_{latency['unit']}": latency["p50"],
        "arena_bytes": results["memory"]["arena_bytes"],
        "git_commit": git.get("commit"),
        "git_branch": git.get("branch"),
        "git_dirty": None if git.get("dirty") is None else str(git["dirty"]).lower(),
        "pytest_tinyml": results["pytest_tinyml"],
    }
    return {f"tinyml_{name}": str(value) for name, value in values.items() if value is not None}


def junit_xml(results: dict[str, Any], shards: Iterable[Shard]) -> bytes:
    """Return the file, UTF-8, for `results` (docs/reference/results.md) and what became of its shards."""
    name = f"tinyml.{results['board']['id'] or results['board']['name']}.{results['model']['name']}"
    cases = list(_cases(results, shards, name))
    failures = sum(case.find("failure") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    counts = {"tests": len(cases), "failures": failures, "errors": 0, "skipped": skipped}
    counted = {key: str(value) for key, value in counts.items()}
    time = {"time": f"{results['throughput']['wall_s']:.3f}"}
    top = ET.Element("testsuites", {"name": "tinyml", **counted, **time})
    suite = ET.SubElement(
        top, "testsuite", {"name": _clean(name), **counted, **time, "timestamp": results["created"].removesuffix("Z")}
    )
    table = ET.SubElement(suite, "properties")
    for key, value in properties(results).items():
        ET.SubElement(table, "property", {"name": key, "value": _clean(value)})
    suite.extend(cases)
    ET.indent(top)
    text: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _cases(results: dict[str, Any], shards: Iterable[Shard], name: str) -> Iterator[ET.Element]:
    word = verdict(results)
    gates = results.get("gates") or []
    wrong = [gate["text"] for gate in gates if gate["status"] == "failed"] + other_problems(results)
    yield _case(name, "verdict", None if results["passed"] else word, "\n".join(wrong) or word)
    for gate in gates:
        failed = gate["status"] == "failed"
        case = _case(name, f"gate[{gate['metric']}:{gate['limit']}]", gate["text"] if failed else None, gate["text"])
        if gate["status"] == "skipped":
            ET.SubElement(case, "skipped", {"message": _clean(gate["text"])})
        yield case
    for shard in shards:
        where = f"samples[{shard.start:05d}-{shard.stop - 1:05d}]"
        yield _case(name, where, None if shard.passed else shard.text, shard.text)


def _case(suite: str, name: str, message: str | None, text: str) -> ET.Element:
    """Make a test case, which has failed if there is a message."""
    # No time of its own: boards answer shards out of order and at the same time.
    case = ET.Element("testcase", {"classname": _clean(suite), "name": _clean(name), "time": "0"})
    if message is not None:
        failure = ET.SubElement(case, "failure", {"message": _clean(message), "type": "tinyml"})
        failure.text = _clean(text)
    return case


def _clean(text: str) -> str:
    """Replace what XML cannot hold: a crashing board says anything."""
    return _NO_CHARACTER.sub("\ufffd", text)
