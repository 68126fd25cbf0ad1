"""What onnxruntime raises, in one line that says what is wrong with the model, the inputs or the machine."""

from __future__ import annotations

import importlib
import re

from InferenceLibrary.sizes import show_bytes

_SOURCE = re.compile(r"\S+\.(?:cc|cpp|h|cu):\d+ (?:[\w:<>~*&, \[\]]+\(.*?\)(?: const)?(?: \[with [^\]]*\])? )?")
"""The place in onnxruntime's sources and the C++ function: of no use to a tester."""

_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'(.*?)' Status Message: ")
_FULL = re.compile(r"Failed to allocate memory for requested buffer of size (\d+)|bad allocation|std::bad_alloc")
_CUDA_FULL = re.compile(r"CUDA failure 2: out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation")
_NO_OPERATOR = re.compile(r"No Op registered for (\S+) with domain_version of (\d+)")
_NO_FUNCTION = re.compile(r"(\S+)\(-?\d+\) is not a registered function/op")
_NO_KERNEL = re.compile(r"Could not find an implementation for (\S+?)\((\d+)\) node")
_NO_OPSET = re.compile(r"Opset (\d+) is under development")
_NO_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_NO_DATA = re.compile(r'External data path does not exist: "?([^"]+)"?')
_SHORT_DATA = re.compile(r"External initializer: (\S+) offset: (\d+) size to read: (\d+) given file_length: (\d+)")


def native_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of onnxruntime; they have no common base of their own."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    native = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*native, ValueError, RuntimeError, MemoryError)


def out_of_memory(text: str) -> bool:
    """Whether the text says that memory of the host or of a device could not be had."""
    return bool(_FULL.search(text) or _CUDA_FULL.search(text))


def reason_of(error: BaseException) -> str:
    """Return the words of onnxruntime without their prefix (`[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : `)."""
    text = " ".join(str(error).split()) or type(error).__name__
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    full = _FULL.search(text)
    if full or _CUDA_FULL.search(text) or isinstance(error, MemoryError):
        size = f" for {show_bytes(int(full[1]))}" if full and full[1] else ""
        node = _NODE.search(text)
        where = f" in operator {node[1]}" if node else ""
        return f"out of memory{size}{where}"
    return _cause_in_model(text) or _NODE.sub(_node_word, _SOURCE.sub("", text)).rstrip(". ")


def _cause_in_model(text: str) -> str | None:
    if found := _NO_OPERATOR.search(text):
        return f"operator {found[1]} is not in opset {found[2]} of this onnxruntime"
    if found := _NO_FUNCTION.search(text):
        return f"operator {found[1].removeprefix('Fatal error: ')} is not in this onnxruntime"
    if found := _NO_KERNEL.search(text):
        return f"operator {found[1]} of opset {found[2]} is not implemented for its types by any provider asked for"
    if found := _NO_OPSET.search(text):
        return f"opset {found[1]} is newer than this onnxruntime knows"
    if found := _NO_IR.search(text):
        return f"IR version {found[1]} is newer than this onnxruntime knows (at most {found[2]})"
    if found := _NO_DATA.search(text):
        return f"its external data '{found[1]}' does not exist"
    if found := _SHORT_DATA.search(text):
        end = int(found[2]) + int(found[3])
        return f"its external data is too short: tensor {found[1]} ends at byte {end}, the file has {found[4]}"
    return None


def _node_word(found: re.Match[str]) -> str:
    return f"operator {found[1]}{' ' + repr(found[2]) if found[2] else ''}: "
