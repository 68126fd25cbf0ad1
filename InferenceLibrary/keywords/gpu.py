"""Keywords about GPU memory."""

from __future__ import annotations

from datetime import timedelta

from robot.api.deco import keyword

from InferenceLibrary.keywords.shared.base import KeywordGroup


class GpuKeywords(KeywordGroup):
    """GPU memory before and between servers."""

    @keyword(tags=["gpu", "wait"])
    def wait_until_gpu_memory_is_free(
        self, most_used: str = "1 GB", *, within: timedelta = timedelta(seconds=60)
    ) -> dict[int, int] | None:
        """Wait until hardly any memory of the GPUs is in use: a server that has just ended gives it back late.

        The GPUs that `CUDA_VISIBLE_DEVICES` names count, or all. Where there is none, a warning says so and why, and
        nothing is waited for; [Skip Unless Gpu Is Available] skips instead.

        Args:
            most_used: Memory that may be in use on each GPU; drivers and desktops hold some hundred megabytes.
            within: Longest wait.

        Returns:
            Bytes in use by number of the GPU; None where there is no GPU.

        Raises:
            ServerError: More is in use after that time; the error names the processes that hold it.

        Example:
        ```robotframework
        *** Test Cases ***
        A Clean Gpu
            Wait Until Gpu Memory Is Free    500 GB    within=10 s
        ```
        """
        from InferenceLibrary.errors import ServerError
        from InferenceLibrary.servers.gpu_gate import await_free_memory
        from InferenceLibrary.sizes import parse_bytes, show_bytes

        try:
            size = parse_bytes(most_used)
        except ValueError as error:
            raise ServerError(f"GPU memory cannot be judged: {error}.") from None
        uses, missing = await_free_memory(size, within.total_seconds(), report=self.log.info)
        if missing:
            self.log.warn(f"GPU memory was not looked at: {missing}")
            return None
        self.log.info(", ".join(f"GPU {use.gpu}: {show_bytes(use.used)} in use" for use in uses))
        return {use.gpu: use.used for use in uses}
