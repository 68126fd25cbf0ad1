"""Headers of model files (GGUF, SafeTensors, GGML), read strictly and within bounds from an open binary file.

    ModelInfo        what a header says
    ModelFileError   why a file is not a whole model file
    read_model_info  from a file to one of the two

Weights are never read. Whatever the bytes are, a reader raises nothing but `ModelFileError` and reads no more than its
limit.
"""

from __future__ import annotations

from InferenceLibrary.modelfiles.headers.formats import FORMATS, read_model_info
from InferenceLibrary.modelfiles.headers.info import ModelInfo
from InferenceLibrary.modelfiles.headers.reader import HEADER_LIMIT, ModelFileError

__all__ = ["FORMATS", "HEADER_LIMIT", "ModelFileError", "ModelInfo", "read_model_info"]
