"""Text to tokens and back: the longest known piece first, single bytes for what no piece covers, nothing lost.

The vocabulary lies in the model's own file, so that one file is a whole model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.errors import ModelError, describe

SPACE = "\u2581"
"""How a piece writes a space."""

METADATA = "inferencelibrary.tokenizer"
"""The entry of the model's metadata that holds it, as JSON."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class Tokenizer:
    """A vocabulary with its control tokens.

    Args:
        pieces: Text of each token, with SPACE for a space and `<0x41>` for a single byte.
        controls: Tokens that no text is ever encoded to, such as the markers of roles.
        bos: The token that begins every prompt; None for none.
        eos: The token that ends an answer.
    """

    pieces: Sequence[str]
    controls: frozenset[int]
    bos: int | None
    eos: int
    _ids: Mapping[str, int] = field(default_factory=dict, repr=False)
    _longest: int = 0

    @classmethod
    def of(cls, pieces: Sequence[str], controls: Sequence[int], bos: int | None, eos: int) -> Tokenizer:
        """Return the tokenizer of a vocabulary.

        Raises:
            ModelError: A byte has no token, or a control token does not exist.
        """
        hidden = frozenset(controls)
        ids = {piece: number for number, piece in enumerate(pieces) if number not in hidden}
        missing = [byte for byte in range(256) if f"<0x{byte:02X}>" not in ids]
        if missing:
            raise ModelError(
                describe("The vocabulary cannot hold every text", expected="256 bytes", got=f"no byte {missing[0]}")
            )
        for number in [*hidden, eos, *([] if bos is None else [bos])]:
            if not 0 <= number < len(pieces):
                raise ModelError(
                    describe("A control token does not exist", expected=f"0 to {len(pieces) - 1}", got=str(number))
                )
        longest = max(len(piece) for piece in ids)
        return cls(tuple(pieces), hidden, bos, eos, ids, longest)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Return what `to_json` wrote.

        Raises:
            ModelError: It is not one.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            return cls.of([str(piece) for piece in data["pieces"]], data["controls"], data["bos"], data["eos"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(describe("The tokenizer in the model cannot be read", got=repr(error))) from None

    def to_json(self) -> str:
        """Return the tokenizer as JSON, for the metadata of a model."""
        data = {"pieces": list(self.pieces), "controls": sorted(self.controls), "bos": self.bos, "eos": self.eos}
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    def __len__(self) -> int:
        return len(self.pieces)

    def control(self, piece: str) -> int:
        """Return the number of a control token such as `<|user|>`.

        Raises:
            ModelError: There is none.
        """
        for number in self.controls:
            if self.pieces[number] == piece:
                return number
        known = ", ".join(sorted(self.pieces[number] for number in self.controls))
        raise ModelError(describe(f"The model has no control token '{piece}'", expected=f"one of: {known}"))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without any control token: what looks like one is plain text."""
        shown = text.replace(" ", SPACE)
        found: list[int] = []
        place = 0
        while place < len(shown):
            for length in range(min(self._longest, len(shown) - place), 0, -1):
                piece = shown[place : place + length]
                number = self._ids.get(piece)
                # A piece that spells a byte is not a text of six letters.
                if number is not None and not _BYTE.fullmatch(piece):
                    found.append(number)
                    place += length
                    break
            else:
                character = " " if shown[place] == SPACE else shown[place]
                found += [self._ids[f"<0x{byte:02X}>"] for byte in character.encode("utf-8", "surrogatepass")]
                place += 1
        return found

    def bytes_of(self, token: int) -> bytes:
        """Return the bytes that a token stands for; none for a control token."""
        if token in self.controls:
            return b""
        piece = self.pieces[token]
        byte = _BYTE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE, " ").encode()

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.bytes_of, tokens)).decode("utf-8", "replace")

    def chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the prompt of a chat: each message between the marker of its role and the end, then the assistant's.

        Raises:
            ModelError: A role has no marker.
        """
        tokens = [] if self.bos is None else [self.bos]
        for message in messages:
            tokens.append(self.control(f"<|{message['role']}|>"))
            tokens += self.encode(str(message.get("content") or ""))
            tokens.append(self.eos)
        return [*tokens, self.control("<|assistant|>")]

    def prompt(self, text: str) -> list[int]:
        """Return the prompt of a plain text."""
        return [*([] if self.bos is None else [self.bos]), *self.encode(text)]
