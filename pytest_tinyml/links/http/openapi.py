"""The OpenAPI 3.1 description of what `handlers` answers; tests compare the two."""

from __future__ import annotations

from typing import Any, Final

from pytest_tinyml import __version__

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "left": {"type": "integer", "minimum": 0}},
}
_LEFT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["left"],
    "properties": {"left": {"type": "integer", "minimum": 0, "description": "samples without a prediction"}},
}
_BYTES: Final[dict[str, Any]] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_MEANING: Final = {
    "400": "malformed; do not repeat it",
    "401": "no token, or a wrong one",
    "404": "no such path, or an id out of range",
    "405": "the path has another method",
    "408": "the request arrived too slowly; repeat it",
    "409": "an exchange out of order, a session that was replaced, or samples are left",
    "410": "the run is over",
    "413": "the body is over the limit",
    "503": "the host is not ready; repeat it after a second",
}


def describe(max_body: int) -> dict[str, Any]:
    """Return the description, JSON-serialisable.

    Args:
        max_body: bytes of an exchange's body.
    """
    number = {"type": "integer", "minimum": 0, "maximum": 9_999_999_999}
    frames = _body({**_BYTES["application/octet-stream"]["schema"], "maxLength": max_body})
    prediction = _body(_BYTES["application/octet-stream"]["schema"])
    prediction["content"]["text/plain"] = {"schema": {"type": "string", "pattern": r"^[0-9eE+.,\-]+$"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The image server of pytest-tinyml",
            "version": __version__,
            "description": "firmware/HTTP.md is the contract.",
        },
        "paths": {
            "/openapi.json": {
                "get": {
                    "summary": "this description",
                    "security": [],
                    "responses": _responses({"application/json": {"schema": {"type": "object"}}}, public=True),
                }
            },
            "/v1/run": {
                "get": {
                    "summary": "what the run is about",
                    "responses": _responses({"application/json": {"schema": _run()}}),
                }
            },
            "/v1/boards/{index}/{session}/{number}": {
                "post": {
                    "summary": "frames from a board, and frames for it",
                    "parameters": [
                        _parameter("index", number, "which board of the run"),
                        _parameter("session", {"type": "string", "pattern": "^[0-9a-f]{8}$"}, "drawn by the board"),
                        _parameter("number", number, "of this exchange within the session"),
                    ],
                    "requestBody": frames,
                    "responses": _responses(_BYTES),
                }
            },
            "/image/{id}": {
                "get": {
                    "summary": "the pixels of a sample",
                    "parameters": [_parameter("id", number, "of the sample, 0-based")],
                    "responses": _responses(_BYTES),
                }
            },
            "/prediction/{id}": {
                "post": {
                    "summary": "the scores of a sample, or its label where labels are compared",
                    "parameters": [_parameter("id", number, "of the sample, 0-based")],
                    "requestBody": prediction,
                    "responses": _responses({"application/json": {"schema": _LEFT}}),
                }
            },
            "/done": {
                "post": {
                    "summary": "every sample has its prediction",
                    "responses": _responses({"application/json": {"schema": _LEFT}}),
                }
            },
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/octet-stream": {"schema": schema}}}


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": text}


def _responses(content: dict[str, Any], *, public: bool = False) -> dict[str, Any]:
    refusals = {
        status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _MEANING.items()
        if not (public and status == "401")
    }
    return {"200": {"description": "done", "content": content}, **refusals}


def _run() -> dict[str, Any]:
    def table(**properties: str) -> dict[str, Any]:
        kinds = {name: {"type": kind} for name, kind in properties.items()}
        return {"type": "object", "required": list(properties), "properties": kinds}

    shape = table(height="integer", width="integer", channels="integer", dtype="string", bytes="integer")
    run = table(protocol="integer", samples="integer", poll_s="number", max_body="integer")
    nested = {
        "model": table(name="string", sha256="string"),
        "image": shape,
        "scores": table(count="integer", dtype="string", bytes="integer"),
    }
    run["properties"] |= nested
    run["required"] += list(nested)
    return run
