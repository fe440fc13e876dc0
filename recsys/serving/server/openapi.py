"""Pages that explain a server to those who ask it: OpenAPI, and one that needs neither script nor network."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from recsys.serving.server.service import Service

__all__ = ["openapi", "page"]

_DESCRIPTION = (
    "The Open Inference Protocol (V2) and plain JSON rows. `signature.json` says what the columns and tensors are."
)
_TYPES: Mapping[str, list[str]] = {"text": ["string"], "int": ["integer", "string"], "number": ["number"]}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "column": {"type": "string"}, "row": {"type": "integer"}},
}
_ANSWERED = {"id": {"type": "string"}, "model_name": {"type": "string"}, "model_version": {"type": "string"}}
"""What every answer with scores says of itself."""
_SCORES = {
    "type": "object",
    "properties": {
        **_ANSWERED,
        "scores": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}},
    },
}
_TENSORS = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "items": _TENSOR},
        "outputs": {"type": "array", "items": {"type": "object"}},
        "parameters": {"type": "object"},
    },
}
_ANSWER = {"type": "object", "properties": {**_ANSWERED, "outputs": {"type": "array", "items": _TENSOR}}}


def openapi(service: Service) -> dict[str, Any]:
    """Describe all that a server answers, with the columns of its bundle."""
    signature = service.bundle.scorer.signature
    example = signature.get("example", {})
    model = f"/v2/models/{service.name}"
    info = {"title": f"Scores of {service.name}", "version": service.bundle.version, "description": _DESCRIPTION}
    rows = {"rows": example["rows"]} if "rows" in example else None
    paths = {
        "/score": {"post": _post("Score plain rows", _rows_schema(signature), _SCORES, rows)},
        **_ranking(service),
        f"{model}/infer": {"post": _post("Score tensors", _TENSORS, _ANSWER, example.get("request"))},
        model: {"get": _get("The tensors of the model")},
        f"{model}/ready": {"get": _get("Whether the model is ready", 503)},
        "/v2": {"get": _get("Name and version of the server")},
        "/v2/health/live": {"get": _get("Whether the server lives")},
        "/v2/health/ready": {"get": _get("Whether the server takes requests", 503)},
        "/signature.json": {"get": _get("All that a client needs to know of the bundle")},
        "/metrics": {"get": {"summary": "Figures for Prometheus", "responses": {"200": {"description": "OK"}}}},
    }
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _ranking(service: Service) -> dict[str, Any]:
    """Describe how candidates are ranked, if the model takes users."""
    signature = service.bundle.scorer.signature
    if not service.bundle.scorer.can_rank:
        return {}
    user, candidate = (
        _row_schema([one for one in signature["inputs"] if one["user"] == is_user]) for is_user in (True, False)
    )
    body = {
        "type": "object",
        "required": ["user", "candidates"] if user["required"] else ["candidates"],
        "properties": {"id": {"type": "string"}, "user": user, "candidates": {"type": "array", "items": candidate}},
    }
    example = signature.get("example", {}).get("ranking", {}).get("rank")
    return {"/rank": {"post": _post("Score the candidates of one user", body, _SCORES, example)}}


def page(service: Service, url: str) -> str:
    """Return what to type to get scores, in HTML."""
    described = openapi(service)
    example = service.bundle.scorer.signature.get("example", {})
    body = json.dumps({"rows": example.get("rows", [])}, ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    command = f"curl {url}score --data '{quoted}'"
    paths = [
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td><td>{html.escape(one['summary'])}</td></tr>"
        for path, methods in described["paths"].items()
        for method, one in methods.items()
    ]
    title = html.escape(described["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f"<p>Version {html.escape(service.bundle.version)}. To score the example rows of the bundle:</p>"
        f"<pre>{html.escape(command)}</pre><table>{''.join(paths)}</table>"
        '<p><a href="openapi.json">OpenAPI</a>, <a href="signature.json">signature.json</a></p></html>'
    )


def _rows_schema(signature: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["rows"],
        "properties": {
            "id": {"type": "string"},
            "rows": {"type": "array", "items": _row_schema(signature["inputs"])},
        },
    }


def _row_schema(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = {declared["column"]: _column_schema(declared) for declared in inputs}
    return {"type": "object", "required": list(columns), "properties": columns}


def _column_schema(declared: Mapping[str, Any]) -> dict[str, Any]:
    kind = declared.get("key", "number" if declared["dtype"] == "float64" else "int")
    if f"{declared['name']}.lengths" in declared["tensors"]:
        entries = {"type": [*_TYPES[kind], "null"]}
        return {"type": ["array", "string", "null"], "items": entries}
    return {"type": [*_TYPES[kind], "null"]}


def _post(summary: str, body: Any, answer: Any, example: Any) -> dict[str, Any]:
    content = {"schema": body} if example is None else {"schema": body, "example": example}
    errors = {"400": "The request does not fit", "413": "The request is too large", "503": "Too many requests wait"}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": answer}}},
            **{
                status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
                for status, text in errors.items()
            },
        },
    }


def _get(summary: str, *others: int) -> dict[str, Any]:
    json_object = {"application/json": {"schema": {"type": "object"}}}
    return {
        "summary": summary,
        "responses": {str(status): {"description": summary, "content": json_object} for status in (200, *others)},
    }
