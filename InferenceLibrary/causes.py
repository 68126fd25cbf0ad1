"""What the last words of a program, or the error that a server answers with, hint at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol


class KnownCause(Protocol):
    """A cause that a profile knows."""

    @property
    def pattern(self) -> str:
        """A regular expression over the log."""

    @property
    def hint(self) -> str: ...


LOSSES: tuple[tuple[str, str], ...] = (
    # torch, CUDA and HIP, ggml, C++, Python.
    (r"out of memory|OutOfMemoryError|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED|hipErrorOutOfMemory|"
     r"failed to allocate (\w+ )?buffer|cannot allocate memory|std::bad_alloc|\bMemoryError\b",
     "memory ran out: use a smaller model or free the GPU."),
    # vLLM (V1 and before), SGLang, ggml.
    (r"EngineDeadError|EngineCore encountered an issue|Engine core proc \S+ died|EngineCore failed|AsyncEngineDead|"
     r"background loop has errored|Scheduler hit an exception|GGML_ASSERT|ggml_abort|CUDA error: ",
     "its engine died: the cause stands further up in the server's log; start it anew."),
)  # fmt: skip
"""What a server loses in the middle of its work: its memory or its engine. Errors that it answers say so as well."""

KNOWN_CAUSES: tuple[tuple[str, str], ...] = (
    (r"address (is )?already in use|EADDRINUSE|couldn't bind|could not bind",
     "the port is taken: leave it to the library, or stop its holder."),
    LOSSES[0],
    (r"error while loading shared libraries|cannot open shared object file|Library not loaded|DLL load failed",
     "a shared library is missing: see ldd."),
    (r"No module named|ModuleNotFoundError",
     "a Python package is missing in the server's environment: install it there."),
    (r"unrecognized arguments?|unknown (flag|option|argument)|unexpected argument|invalid (argument|option)|"
     r"no such option|flag provided but not defined",
     "the program does not know an argument: compare the command line with its --help."),
    (r"no such file or directory|failed to (open|load) model|model .*not found|does not appear to have a file named|"
     r"Repository Not Found|is not a local folder",
     "a file is missing: check the paths; in a profile, {profile_dir} is the folder that it lies in."),
    (r"no CUDA-capable device|CUDA driver version is insufficient|no NVIDIA driver|Failed to infer device type",
     "no GPU can be used here: see nvidia-smi, or run where one is."),
    (r"gated repo|401 Client Error|Invalid (user )?token",
     "the model needs a token: set HF_TOKEN in environment=..."),
    LOSSES[1],
)  # fmt: skip
"""Words in a log and what they hint at; the first that is found counts."""

_BY_SIGNAL = {
    "signal SIGKILL": "somebody killed it; the kernel does when memory runs out: see dmesg.",
    "signal SIGILL": "it was built for another processor: build it for this one.",
    "exit code 126": "a program that it starts may not be executed.",
    "exit code 127": "a program that it starts was not found.",
}


def find_loss(text: str) -> str | None:
    """Return a hint where a server's error says that its memory ran out or its engine died; None else."""
    return next((hint for pattern, hint in LOSSES if re.search(pattern, text, re.IGNORECASE)), None)


def find_cause(log: Sequence[str], ended: str | None, profile_hints: Sequence[KnownCause] = ()) -> str | None:
    """Return a hint for what stopped a server, None when nothing is known.

    Args:
        log: Its last lines.
        ended: How it ended, `exit code 1`, when it did.
        profile_hints: Causes that its profile knows; they come first.
    """
    text = "\n".join(log)
    causes = [(hint.pattern, hint.hint) for hint in profile_hints] + list(KNOWN_CAUSES)
    found = next((hint for pattern, hint in causes if re.search(pattern, text, re.IGNORECASE)), None)
    return found or _BY_SIGNAL.get((ended or "").removesuffix(" (core dumped)"))
