"""Files of values: .npy (one array), .npz (arrays by name) and .json (lists, or an object by name); pictures too."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.files import replaced
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.arrays import as_array, to_plain
from InferenceLibrary.onnx.element_types import of_dtype

SUFFIXES = (".npy", ".npz", ".json")

Layout = Literal["NCHW", "NHWC", "CHW", "HWC"]


def is_value_file(text: str) -> bool:
    """Whether a text names a file of values, by its suffix; it need not exist."""
    return "\n" not in text and text.strip().lower().endswith(SUFFIXES)


def load_values(path: Path) -> Any:
    """Return the array of a .npy file, the arrays by name of a .npz file, or what a .json file holds.

    Raises:
        ModelError: The file does not exist or cannot be read. Pickled objects are never loaded.
    """
    np = packages.numpy("Reading a file of values")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ModelError(
            describe(f"File of values '{path}' is not known", expected=f"one of: {', '.join(SUFFIXES)}", got=suffix)
        )
    if not path.is_file():
        raise ModelError(describe(f"File of values '{path}' does not exist"))
    try:
        if suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        loaded = np.load(path, allow_pickle=False)
        if suffix == ".npy":
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(
            describe(f"File of values '{path}' cannot be read", got=" ".join(str(error).split()))
        ) from error


def save_values(path: Path, values: Mapping[str, Any]) -> None:
    """Write values by name: tensors that numpy has to .npz, or plain lists to .json.

    Raises:
        ModelError: The suffix is another one, a value does not go into such a file, or it cannot be written.
    """
    np = packages.numpy("Writing a file of values")
    suffix = path.suffix.lower()
    if suffix not in {".npz", ".json"}:
        raise ModelError(describe(f"File of values '{path}' cannot be written", expected=".npz or .json", got=suffix))
    if suffix == ".npz":
        for name, value in values.items():
            known = of_dtype(value.dtype) if isinstance(value, np.ndarray) else None
            if known is None or known.foreign or value.dtype.kind == "O":
                raise ModelError(
                    describe(
                        f"'{name}' does not go into a .npz file",
                        expected="a tensor of a type that numpy has",
                        got=known.name if known else type(value).__name__,
                        hint="use a .json file",
                    )
                )
    with replaced(path, "File of values") as part, part.open("wb") as file:
        if suffix == ".npz":
            np.savez(file, **values)
        else:
            file.write(f"{json.dumps(to_plain(values), indent=1)}\n".encode())


def image_array(
    path: Path,
    *,
    size: tuple[int, int] | None,
    layout: Layout,
    scale: float,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: str,
) -> Any:
    """Return the tensor of a picture in RGB: `(value * scale - mean) / std` for each channel.

    Args:
        path: A picture that Pillow reads.
        size: (width, height) in pixels to resize to, bilinear; None leaves it.
        layout: Order of the dimensions: N 1, C 3, H height, W width.
        scale: Factor for values of 0 to 255.
        mean: One number, or one a channel.
        std: One number, or one a channel.
        dtype: Element type of the result.

    Raises:
        ModelError: It cannot be read, or a number of channels is wrong.
    """
    np = packages.numpy("Making a tensor of a picture")
    image = packages.pillow("Making a tensor of a picture")
    for name, given in (("mean", mean), ("std", std)):
        if len(given) not in {1, 3} or (name == "std" and 0 in given):
            raise ModelError(
                describe(f"{name} cannot be used", expected="one number or three, std never 0", got=str(given))
            )
    if not path.is_file():
        raise ModelError(describe(f"Picture '{path}' does not exist"))
    try:
        with image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise ModelError(describe(f"Picture '{path}' cannot be read", got=str(error))) from error
    if size is not None:
        picture = picture.resize(size, image.Resampling.BILINEAR)
    pixels = (np.asarray(picture, np.float64) * scale - np.array(mean)) / np.array(std)
    if "C" in layout[:2] and layout[-1] == "W":
        pixels = pixels.transpose(2, 0, 1)
    if layout.startswith("N"):
        pixels = pixels[None]
    kept = np.rint(pixels) if dtype.startswith(("int", "uint")) else pixels
    return as_array(kept, dtype)
