"""Images: there already, or pulled within the time of the start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

from InferenceLibrary.containers.engine import ContainerEngine, api_errors, one_line, sdk
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ServerError, describe

Pull = Literal["missing", "always", "never"]


def provide_image(
    engine: ContainerEngine,
    image: str,
    pull: Pull,
    deadline: Deadline,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Make sure that the engine has an image.

    Args:
        engine: The engine.
        image: Name, with tag or digest.
        pull: When to pull it.
        deadline: When to give up.
        report: Takes a line when a pull begins.

    Raises:
        ServerError: It is missing and cannot be pulled in time.
    """
    if not image.strip():
        raise ServerError(describe("A container cannot be started without the name of an image", got=f"'{image}'"))
    present = pull != "always" and _is_present(engine, image)
    if present:
        return
    if pull == "never":
        raise _no_image(image, "the engine does not have it, and pull=never", deadline)
    report(f"Pulling {image}.")
    work = _Pull(engine, image)
    try:
        finished = wait_until(lambda: not work.running, deadline)
    finally:
        work.cancel()
    if not finished:
        raise _no_image(image, f"no end of the pull ({work.progress})", deadline)
    if work.problem is not None:
        raise _no_image(image, work.problem, deadline)


def _is_present(engine: ContainerEngine, image: str) -> bool:
    try:
        engine.client.api.inspect_image(image)
    except sdk().errors.NotFound:
        return False
    except api_errors() as error:
        raise ServerError(describe(f"The container engine failed on image '{image}'", got=one_line(error))) from None
    return True


def _no_image(image: str, reason: str, deadline: Deadline) -> ServerError:
    hint = (
        "check the name, log in to its registry, or bring the image by hand: docker pull, docker load < file.tar, or "
        f"docker tag OTHER {image}. In a checkout, INFERENCE_SIMULATOR_IMAGE names the image of the simulator."
    )
    return ServerError(
        describe(f"Image '{image}' is not there and cannot be pulled", got=reason, after=deadline.elapsed, hint=hint)
    )


class _Pull:
    """A pull in a thread, so that time limits and Ctrl-C end the wait for a silent registry too."""

    def __init__(self, engine: ContainerEngine, image: str) -> None:
        repository, tag = sdk().utils.parse_repository_tag(image)
        self._what = (repository, tag or "latest")
        self._api = engine.new_api()
        self._stream: Any = None
        self.problem: str | None = None
        self.progress = "nothing was heard"
        self._thread = threading.Thread(target=self._pull, name=f"pull {image}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Let go; the engine gives up a pull that nobody listens to."""
        self._api.close()

    def _pull(self) -> None:
        try:
            self._stream = self._api.pull(self._what[0], tag=self._what[1], stream=True, decode=True)
            for word in self._stream:
                if "error" in word:
                    self.problem = " ".join(str(word["error"]).split())
                    return
                self.progress = f"{word.get('status', '')} {word.get('progress', '')}".strip() or self.progress
        except api_errors(OSError, ValueError) as error:
            self.problem = one_line(error)
