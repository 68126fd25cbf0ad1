"""A chat in the terminal with a server of the OpenAI API: what a person would use, and small enough to be trusted.

    python chat_client.py http://127.0.0.1:8000 [MODEL]

Ctrl+C stops an answer; at the prompt it leaves, with exit code 130. A backslash before Enter goes on on the next line.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

COMMANDS = {
    "/help": "show this help",
    "/model [NAME]": "choose a model; without a name, list them",
    "/clear": "forget the conversation",
    "/exit": "leave",
}
WAIT = 30.0


class Chat:
    """One conversation."""

    def __init__(self, url: str, model: str | None) -> None:
        self.url = url.rstrip("/")
        self.model = model
        self.messages: list[dict[str, str]] = []

    def models(self) -> list[str]:
        """Return the names of the server's models."""
        with urllib.request.urlopen(f"{self.url}/v1/models", timeout=WAIT) as answer:
            return [model["id"] for model in json.load(answer)["data"]]

    def ask(self, question: str) -> Iterator[str]:
        """Yield the pieces of the answer as they come."""
        if self.model is None:
            self.model = self.models()[0]
        messages = [*self.messages, {"role": "user", "content": question}]
        body = json.dumps({"model": self.model, "messages": messages, "stream": True}).encode()
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, {"Content-Type": "application/json"})
        answer = ""
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as stream:
                for line in stream:
                    if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
                        continue
                    for choice in json.loads(line[5:])["choices"]:
                        piece = choice["delta"].get("content") or ""
                        answer += piece
                        yield piece
        finally:
            self.messages = [*messages, {"role": "assistant", "content": answer}]


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(chat: Chat, question: str) -> None:
    count = 0
    try:
        for piece in chat.ask(question):
            count += bool(piece)
            write(piece)
    except KeyboardInterrupt:
        write("\n")
    except urllib.error.HTTPError as error:
        write(f"\nError: {error.code} {message_of(error.read())}")
    except urllib.error.URLError as error:
        write(f"Error: {chat.url} cannot be reached: {error.reason}")
    except (OSError, ValueError, KeyError) as error:
        write(f"\nError: the answer broke off: {error}")
    write(f"\n[{count} pieces]\n")


def message_of(body: bytes) -> str:
    """Return what the server says is wrong."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:200]


def command(chat: Chat, line: str) -> bool:
    """Do a command; return whether the chat goes on."""
    name, _, rest = line.partition(" ")
    if name == "/exit":
        return False
    if name == "/help":
        write("".join(f"{usage:<16} {purpose}\n" for usage, purpose in COMMANDS.items()))
    elif name == "/clear":
        chat.messages = []
        write("The conversation is forgotten.\n")
    elif name == "/model":
        try:
            known = chat.models()
        except (OSError, ValueError, KeyError) as error:
            write(f"Error: {chat.url} cannot be reached: {getattr(error, 'reason', error)}\n")
            return True
        if rest and rest not in known:
            write(f"Error: there is no model {rest}; there is {', '.join(known)}\n")
        else:
            chat.model = rest or chat.model
            write(f"The model is {rest}.\n" if rest else "".join(f"{name}\n" for name in known))
    else:
        write(f"Error: there is no command {name}; /help lists them\n")
    return True


def read() -> str:
    """Read a question, which may have several lines."""
    write("> ")
    lines = []
    while True:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        line = line.rstrip("\n")
        if not line.endswith("\\"):
            return "\n".join([*lines, line])
        lines.append(line[:-1])


def main() -> int:
    """Chat until the end."""
    if not 2 <= len(sys.argv) <= 3:
        sys.stderr.write("usage: chat_client.py URL [MODEL]\n")
        return 2
    chat = Chat(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
    write(f"Chat with {chat.url}; /help lists the commands.\n")
    while True:
        try:
            question = read()
        except EOFError:
            return 0
        except KeyboardInterrupt:
            return 130
        if question.startswith("/"):
            if not command(chat, question):
                return 0
        elif question.strip():
            answer(chat, question)


if __name__ == "__main__":
    sys.exit(main())
