"""The image server is what its own OpenAPI description says, for requests that nobody would write by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from pytest_tinyml.links.http import ImageServer, ServedRun
from tests.unit.simulated import MODEL, make_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

N: Final = 20
OPERATIONS: Final = (
    ("/openapi.json", "GET"),
    ("/v1/run", "GET"),
    ("/v1/boards/{index}/{session}/{number}", "POST"),
    ("/image/{id}", "GET"),
    ("/prediction/{id}", "POST"),
    ("/done", "POST"),
)
# There is no wrong way to ask for the description.
CASES: Final = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode.name.lower()}")
    for path, method in OPERATIONS
    for mode in schemathesis.GenerationMode
    if (path, mode) != ("/openapi.json", schemathesis.GenerationMode.NEGATIVE)
]
NOT_CHECKED: Final[list[Any]] = [
    schemathesis.checks.not_a_server_error,  # 503 is an answer here, and 500 is not described
    positive_data_acceptance,  # no schema says what the scores of this model are
]


@pytest.fixture(scope="module")
def server() -> Iterator[ImageServer]:
    """A server that expects board 0 and clients without frames, and does not let an exchange wait."""
    made = ImageServer(run=ServedRun(model=MODEL, dataset=make_dataset(N), samples=N), poll_s=0.01)
    made.connect(0)
    made.desk(labels=False).expect(range(N))
    yield made
    made.close()


@pytest.fixture(scope="module")
def described(server: ImageServer) -> Any:
    """What the server says about itself."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_operation_is_tried(described: Any) -> None:
    """The tests below know all operations."""
    paths: dict[str, dict[str, Any]] = described.raw_schema["paths"]
    found = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    assert set(OPERATIONS) == found


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_answers_are_as_described(
    server: ImageServer, described: Any, path: str, method: str, mode: schemathesis.GenerationMode
) -> None:
    """Every answer has a status, a content type and a content that the description allows for its path."""
    statuses: set[int] = set()

    # The plugin of schemathesis does not know this pytest; its strategies do without.
    @settings(max_examples=60, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def try_one(case: schemathesis.Case[Any]) -> None:
        response = case.call(headers={"Authorization": f"Bearer {server.token}"})
        case.validate_response(response, excluded_checks=NOT_CHECKED)
        statuses.add(response.status_code)

    try_one()
    assert statuses
