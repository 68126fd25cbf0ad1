"""A listener that trusts every load: on a busy machine the client is the bottleneck, and says so, which others test."""

from functools import cached_property

from InferenceLibrary.load.result import LoadResult

ROBOT_LISTENER_API_VERSION = 3

trusted: "cached_property[list[str]]" = cached_property(lambda result: [])
trusted.__set_name__(LoadResult, "doubts")
LoadResult.doubts = trusted
