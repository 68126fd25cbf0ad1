"""Robot Framework keyword library for acceptance-testing LLM inference servers.

`Library    InferenceLibrary` in a suite; `from InferenceLibrary import InferenceLibrary` in Python. The class is
imported where it is asked for, because programs of this package (the simulator) must not import Robot Framework.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from InferenceLibrary.library import InferenceLibrary

from InferenceLibrary.version import __version__

__all__ = ["InferenceLibrary", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "InferenceLibrary":
        from InferenceLibrary.library import InferenceLibrary

        return InferenceLibrary
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
