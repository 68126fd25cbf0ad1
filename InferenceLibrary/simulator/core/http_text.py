"""The lines of an answer's head that are the same for many answers."""

from __future__ import annotations

from time import gmtime, time

REASONS = {
    100: "Continue", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently",
    302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
    402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
    422: "Unprocessable Content", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 507: "Insufficient Storage",
}  # fmt: skip

_STATUS_LINES = {status: f"HTTP/1.1 {status} {reason}\r\n" for status, reason in REASONS.items()}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_date = (0, "")


def status_line(status: int) -> str:
    """Return the status line with its line end."""
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status {status}\r\n"


def date_line() -> str:
    """Return the Date header line, made once a second."""
    global _date  # noqa: PLW0603 - one clock for the process
    now = int(time())
    if _date[0] != now:
        day = gmtime(now)
        _date = (
            now,
            f"date: {_DAYS[day.tm_wday]}, {day.tm_mday:02} {_MONTHS[day.tm_mon - 1]} {day.tm_year} "
            f"{day.tm_hour:02}:{day.tm_min:02}:{day.tm_sec:02} GMT\r\n",
        )
    return _date[1]
