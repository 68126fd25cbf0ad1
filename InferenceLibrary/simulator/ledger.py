"""What the server did: counters that add up, and the last requests. It says what truly happened, whatever was sent."""

from __future__ import annotations

from collections import deque
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TextIO

from InferenceLibrary.redaction import Redactor

if TYPE_CHECKING:
    from InferenceLibrary.simulator.exchange import Exchange


class Ledger:
    """Counters since the start or the last reset; received = completed + failed + cancelled when idle."""

    def __init__(self, keep: int, api_key: str = "", truth: TextIO | None = None) -> None:
        self._redactor = Redactor()
        self._redactor.add(api_key)
        self._truth = truth
        self.recent: deque[Exchange] = deque(maxlen=keep)
        self.in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Start from nought; what is in flight counts as received."""
        self.received = self.in_flight
        self.completed = self.failed = self.cancelled = 0
        self.rejected = 0
        self.bytes_sent = 0
        self.prompt_tokens = self.generated_tokens = 0
        self.connections = 0
        self.since = monotonic()
        self.recent.clear()

    def begin(self, exchange: Exchange) -> None:
        self.received += 1
        self.in_flight += 1
        exchange.counted = True

    def end(self, exchange: Exchange) -> None:
        if exchange.counted:
            self.in_flight -= 1
            setattr(self, exchange.outcome, getattr(self, exchange.outcome) + 1)
            self.generated_tokens += exchange.tokens
            self.prompt_tokens += exchange.prompt_tokens
        if self.recent.maxlen:
            self.recent.append(exchange)
        if self._truth is not None and exchange.counted:
            self._write_truth(exchange, self._truth)

    def _write_truth(self, exchange: Exchange, file: TextIO) -> None:
        times = ",".join(f"{moment:.7f}" for moment in exchange.token_times or ())
        client = exchange.request.headers.get("x-request-id", "")
        file.write(
            f'{{"id":"{exchange.id}","x_request_id":{_quoted(client)},"path":{_quoted(exchange.request.path)},'
            f'"received":{exchange.request.received:.7f},"ended":{monotonic():.7f},"outcome":"{exchange.outcome}",'
            f'"status":{exchange.status},"tokens":[{times}]}}\n'
        )
        file.flush()

    def counters(self) -> dict[str, Any]:
        """Return the counters as an object for JSON."""
        return {
            "received": self.received,
            "completed": self.completed,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "in_flight": self.in_flight,
            "rejected": self.rejected,
            "connections": self.connections,
            "bytes_sent": self.bytes_sent,
            "prompt_tokens": self.prompt_tokens,
            "generated_tokens": self.generated_tokens,
            "seconds": round(monotonic() - self.since, 6),
        }

    def describe(self, exchange: Exchange) -> dict[str, Any]:
        """Return a recorded request as an object for JSON, with its secrets masked."""
        request = exchange.request
        age = monotonic() - request.received
        return {
            "id": exchange.id,
            "method": request.method,
            "path": request.path,
            "query": self._redactor(request.query),
            "headers": self._redactor.headers(request.headers),
            "body": self._redactor(request.body[:4096].decode("utf-8", "replace")),
            "body_bytes": len(request.body),
            "received_at": round(time() - age, 6),
            "status": exchange.status,
            "outcome": exchange.outcome or "in_flight",
            "tokens": exchange.tokens,
            "faults": [fault.text for fault in exchange.faults],
            "time_to_first_token": round(exchange.first_token - request.received, 6) if exchange.first_token else None,
        }


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)
