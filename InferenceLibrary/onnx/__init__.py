"""ONNX models: made on the spot, loaded with the provider that was asked for, run, compared.

Ring 2: no Robot here. numpy, onnx and onnxruntime are imported where they are used, because they belong to an extra.
"""
