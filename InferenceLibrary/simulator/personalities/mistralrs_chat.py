"""The interactive mode of mistral.rs, with the commands and texts of its two generations."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.interactive import TerminalChat
from InferenceLibrary.simulator.personalities.mistralrs_editor import Editor, prompts
from InferenceLibrary.simulator.personalities.mistralrs_log import log

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings

_RULE = "=" * 20
_WELCOME = "Welcome to interactive mode! Because this model is a {kind} model, you can enter prompts and chat with it."
_PICTURES = """
To specify a message with one or more images, simply include the image URL or path:

- `Describe these images: path/to/image1.jpg path/to/image2.png`
"""
_COMMANDS = (
    ("help", "", "Display this message."),
    ("exit", "", "Quit interactive mode."),
    ("system", " <system message here>", "Add a system message to the chat without running the model."),
    ("clear", "", "Clear the chat history."),
    ("adapter", " <alias|none|list>", "Use a loaded LoRA adapter for subsequent requests."),
    ("temperature", " <float>", "Set sampling temperature (0.0 to 2.0)."),
    ("topk", " <int>", "Set top-k sampling value (>0)."),
    ("topp", " <float>", "Set top-p sampling value in (0.0 to 1.0)."),
)
_MODULES = ("mistralrs_server::interactive_mode", "mistralrs::commands::run::interactive")
"""Who writes the log: of the older program, and of the newer one."""
_IMAGE = re.compile(r"((?:https?://|file://)?\S+?\.(?:png|jpe?g|bmp|gif|webp)(?:\?\S+?)?)(?=\s|$)")
_IMAGE_BEGINS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")
_LIMITS = {
    "temperature": ("temperature", "in [0.0, 2.0]"),
    "topk": ("top-k", "a positive integer"),
    "topp": ("top-p", "in (0.0, 1.0]"),
}
_HIGHEST = {"temperature": 2.0, "topp": 1.0}
_DEFAULTS = {"temperature": "0.8", "topk": "40", "topp": "0.95"}


class MistralChat(TerminalChat):
    """One conversation.

    Args:
        settings: Those of the simulator.
        scenario: Scripted answers, or None.
        new: The newer generation: commands begin with a slash, and there are more of them.
        sees: The model takes images.
    """

    def __init__(self, settings: Settings, scenario: Any, *, new: bool, sees: bool = False) -> None:
        super().__init__(
            settings, scenario, "/" if new else "\\", "CLI time to first token" if new else "Time to first token"
        )
        self._new = new
        self._module = _MODULES[new]
        self._sees = sees
        self._sampling_values = dict(_DEFAULTS)
        self._editor = Editor() if new else None
        self.tokens_after_interruption = 2 if new else None
        self._turns = 0

    def run(self) -> int:
        """Talk until the end of the input, Ctrl+C at the prompt or the exit command; return 0."""
        log(f"Starting interactive loop with sampling params: {self._sampling_text()}", self._module)
        self._help(greeting=True)
        while True:
            try:
                line = self._read()
            except KeyboardInterrupt:
                line = None
            if line is None:
                if self._editor is None or prompts():
                    self._write("\n")
                return 0
            text = line.strip()
            try:
                if text and not self._turn(text):
                    return 0
            except KeyboardInterrupt:
                self._write("\n")

    def once(self, text: str) -> int:
        """Answer one prompt."""
        self.answer(text)
        return 0

    def _read(self) -> str | None:
        if self._editor is not None:
            return self._editor.read()
        self._write("> ")
        line = sys.stdin.readline()
        return line if line else None

    def _turn(self, text: str) -> bool:
        """Obey a command or answer; what is not a command goes to the model. Return false to leave."""
        word, _, rest = text.partition(" ")
        name = word.removeprefix(self._mark) if word.startswith(self._mark) else ""
        if name == "exit" and not rest:
            return False
        if name == "help" and not rest:
            self._help()
        elif name == "clear" and not rest:
            self._messages.clear()
            log("Cleared chat history.", self._module)
        elif name.startswith("system"):
            self._system_message(text)
        elif name in _DEFAULTS:
            self._set(name, rest.strip())
        elif name == "adapter" and self._new:
            self._adapter(rest.strip())
        elif not self._sees or self._images_are_there(text):
            self.answer(text)
        return True

    def _help(self, *, greeting: bool = False) -> None:
        lines = [_RULE, _WELCOME.format(kind="multimodal" if self._sees else "text")]
        if self._sees:
            lines.append(_PICTURES.rstrip())
        lines += ["", "Commands:"]
        lines += [
            f"- `{self._mark}{name}{usage}`: {text}"
            for name, usage, text in _COMMANDS
            if self._new or name != "adapter"
        ]
        if greeting and self._new:
            lines += ["", f"Sampling: {self._sampling_text()}"]
        self._write("\n".join([*lines, _RULE, ""]))

    def _system_message(self, text: str) -> None:
        command = f"{self._mark}system"
        message = text.removeprefix(command).strip()
        if command in message or (not message and not self._new):
            self._write(
                "Error: Setting the system command should be done with this format: "
                f"`{command} This is a system message.`\n"
            )
            return
        self._system = message
        log(f"Set system message to `{message}`.", self._module)

    def _set(self, name: str, text: str) -> None:
        kind = "int" if name == "topk" else "float"
        shown, limits = _LIMITS[name]
        try:
            value = int(text) if kind == "int" else float(text)
        except ValueError:
            self._write(f"Error: format is `{self._mark}{name} <{kind}>`\n")
            return
        low_fits = value >= 0 if name == "temperature" else value > 0
        if not low_fits or not value <= _HIGHEST.get(name, value):
            self._write(f"Error: {shown} must be {limits}\n")
            return
        if name == "temperature":
            self._temperature = value
        self._sampling_values[name] = f"{value:g}"
        log(f"Set {shown} to {value:g}", self._module)

    def _adapter(self, text: str) -> None:
        if text == "none":
            log("Using the base model.", self._module)
        elif text == "list":
            self._write("No LoRA adapters are loaded.\n")
        elif text:
            alias = text.removeprefix("use ").strip()
            self._write(f"Error: LoRA adapter alias `{alias}` is not loaded\n")
        else:
            self._write(f"Error: format is `{self._mark}adapter <alias|none|list>`\n")

    def _images_are_there(self, text: str) -> bool:
        """Look at the images that a message names; those on the network are not fetched."""
        for name in _IMAGE.findall(text):
            if name.startswith(("http://", "https://")):
                continue
            path = Path(name.removeprefix("file://"))
            try:
                with path.open("rb") as file:
                    begin = file.read(4)
            except OSError as error:
                log(f"Failed to read image from URL/path {name}: {error.strerror}", self._module, "ERROR")
                return False
            if not begin.startswith(_IMAGE_BEGINS):
                log(f"Failed to read image from URL/path {name}: no image format", self._module, "ERROR")
                return False
        return True

    def _sampling_text(self) -> str:
        values = self._sampling_values
        return f"temp={values['temperature']}, top_k={values['topk']}, top_p={values['topp']}, min_p=0.05"

    def _sampling_line(self) -> str:
        if not self._new:
            return ""
        self._turns += 1
        return f"Prefix cache: {self._turns - 1} hits / {self._turns} turns\nSampling: {self._sampling_text()}\n"


def in_terminal(talk: Callable[[], int]) -> int:
    """Talk in UTF-8, whatever comes in; return the exit code."""
    for stream in (sys.stdin, sys.stdout):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
    return talk()
