"""What a program leaves when it ends. Light: keywords name it in their arguments."""

from __future__ import annotations


class RunResult:
    """What a program left when it ended.

    Attributes:
        command: The command line, with secrets masked.
        exit_code: The exit code; None when a signal ended it.
        signal: The name of the signal that ended it, such as `SIGSEGV`; else None.
        stdout: What it wrote to standard output, as UTF-8 with replacement characters for what is not.
        stderr: What it wrote to standard error.
        elapsed: Seconds from start to end.
        peak_memory: Most bytes of memory that the program held at once, children not counted; None where the system
            does not tell or the program ended within milliseconds. Sampled on Linux, to 10 ms.
        left_behind: Processes that outlived the program, in its session. They have been ended.
    """

    # Written out: it is on the way of the library's import, where a dataclass costs as much as five classes.
    def __init__(
        self,
        command: tuple[str, ...],
        exit_code: int | None,
        signal: str | None,
        stdout: str,
        stderr: str,
        elapsed: float,
        peak_memory: int | None,
        left_behind: tuple[str, ...] = (),
    ) -> None:
        self.command = command
        self.exit_code = exit_code
        self.signal = signal
        self.stdout = stdout
        self.stderr = stderr
        self.elapsed = elapsed
        self.peak_memory = peak_memory
        self.left_behind = left_behind

    @property
    def ending(self) -> str:
        """How it ended: `exit code 2` or `signal SIGSEGV`."""
        return f"signal {self.signal}" if self.signal else f"exit code {self.exit_code}"

    def stream(self, name: str) -> str:
        """Return the text of `stdout` or `stderr`."""
        return self.stdout if name == "stdout" else self.stderr

    def __str__(self) -> str:
        memory = f", {self.peak_memory / 1e6:.1f} MB" if self.peak_memory is not None else ""
        return (
            f"{' '.join(self.command)}: {self.ending} after {self.elapsed:.3f} s{memory}, "
            f"{len(self.stdout)} characters on stdout, {len(self.stderr)} on stderr"
        )

    __repr__ = __str__
