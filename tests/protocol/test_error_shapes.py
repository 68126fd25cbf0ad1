"""Error bodies of the field and the categories of failed calls."""

from __future__ import annotations

import json

import pytest

from InferenceLibrary.errors import RequestError
from InferenceLibrary.protocol.errors import ErrorBody, categorize, read_error, read_refusal


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}, ErrorBody("m", "t", "c", "p")),
        ({"error": {"message": "m", "code": 404}}, ErrorBody("m", None, "404")),
        ({"error": "m", "error_type": "validation"}, ErrorBody("m", "validation")),
        (
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
            ErrorBody("m", "BadRequestError", "400"),
        ),
        ({"detail": "Not Found"}, ErrorBody("Not Found")),
        (
            {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]},
            ErrorBody("body.messages: Field required", "missing"),
        ),
        ({"type": "error", "error": {"type": "not_found_error", "message": "m"}}, ErrorBody("m", "not_found_error")),
        (
            {"type": "error", "code": "server_error", "message": "m", "param": None},
            ErrorBody("m", "error", "server_error"),
        ),
        ({"type": "response.failed", "response": {"error": {"code": "x", "message": "m"}}}, ErrorBody("m", None, "x")),
    ],
)
def test_every_shape_is_understood(body, expected):
    assert read_error(json.dumps(body)) == expected


@pytest.mark.parametrize("body", ['{"choices": [], "error": null}', "[]", "null", '"error"', "{", '{"errors": 1}'])
def test_what_is_no_error_is_none(body):
    assert read_error(body) is None


def test_plain_text_is_the_message_of_a_refusal():
    assert read_refusal(502, "<html>\n Bad  Gateway</html>") == ErrorBody("<html> Bad Gateway</html>")
    assert read_refusal(200, "fine") is None
    assert read_refusal(500, "  ") is None


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (429, "RATE_LIMIT"),
        (500, "SERVER_ERROR"),
        (503, "SERVER_ERROR"),
        (None, "SERVER_ERROR"),
        (400, "INVALID_REQ"),
        (422, "INVALID_REQ"),
        (401, "AUTH_ERROR"),
        (403, "AUTH_ERROR"),
        (404, "UNKNOWN"),
        (418, "UNKNOWN"),
        (307, "UNKNOWN"),
        (200, "PARSE_ERROR"),
    ],
)
def test_every_status_has_a_category(status, category):
    assert categorize(status) == category
    assert RequestError("x", status=status).category == category


def test_a_cancelled_call_is_unknown():
    assert RequestError("x", cancelled=True).category == "UNKNOWN"


def test_the_code_of_an_error_inside_a_stream_counts_when_it_is_a_status():
    assert categorize(None, ErrorBody("m", code="429")) == "RATE_LIMIT"
    assert categorize(None, ErrorBody("m", code="context_length")) == "SERVER_ERROR"


def test_a_request_error_reads_its_body():
    error = RequestError("x", status=404, body='{"error": {"message": "no model", "code": 404}}')
    assert (error.error.message, error.error.code) == ("no model", "404")
