"""Language models in ONNX: made, run token by token with a cache of keys and values, sampled, batched.

Ring 2: no Robot here.
"""
