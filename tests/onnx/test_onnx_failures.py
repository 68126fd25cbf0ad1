# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""Every bad model, input, provider and number has one clear line."""

from __future__ import annotations

import re

import pytest
from inner_suites import InnerRun, run_inner

MESSAGES = {
    "Wrong Number": r"ONNX output 'y' float32\[2,3\] differs in 1 of 6 values: expected 5\.5, got 5 at \[1,1\] \(greatest deviation 0\.5; allowed rtol=1e-05, atol=1e-06\)\.",
    "Wrong Output Type": r"ONNX output 'y' has the wrong type: expected float16, got float32\.",
    "Wrong Output Shape": r"ONNX output 'y' has the wrong shape: expected \[3\], got \[1,3\]\.",
    "Unknown Output": r"Unknown ONNX output 'z': expected one of: y\.",
    "Nothing Expected": r"Nothing to compare: expected one or more of the outputs: y, got none\.",
    "Not Run": r"ONNX model 'not-run-matmul-\d+' has not been run\. Hint: use Run Onnx Model first\.",
    "Nothing Loaded": r"No ONNX model is open\. Hint: use Load Onnx Model\.?",
    "Wrong Input Name": r"Unknown ONNX input 'X': expected one of: x float32\[batch,2\]\.",
    "Missing Input": r"ONNX input 'right' is missing: expected left float32\[batch,2\], right float32\[batch,2\], got left\.",
    "Inputs Without Names": r"ONNX model has 2 inputs: expected an object by name: left float32\[batch,2\], right float32\[batch,2\], got list without names\.",
    "Wrong Input Shape": r"ONNX input 'x' has the wrong shape: expected \[batch,2\], got \[1,3\]\.",
    "Number Beyond Float16": r"ONNX input 'x': ONNX values do not fit their type: expected float16 \(at most 65504, at least 5\.96e-08\), got 70000 at \[0,1\]\.",
    "Input That Is Not Finite": r"ONNX input 'x' is not finite: expected finite numbers, got nan at \[0,0\]\. Hint: allow_nonfinite=True takes them",
    "Output That Is Not Finite": r"ONNX output 'y' is not finite: expected finite numbers, got -inf at \[0,0\]\. Hint: allow_nonfinite=True compares them",
    "Wrong Probability": r"ONNX output 'probabilities'\[0\]\[1\] float32\[\] differs in 1 of 1 values: expected 0\.75, got 0\.5 at \[\] \(.*\)\.",
    "Input Given Twice": r"ONNX inputs are given twice: expected one object, or each by name, got both\.",
    "Misspelt Argument": r"Unknown ONNX input 'timeot': expected one of: x float32\[batch,2\]\.",
    "Missing Golden File": r"File of values '\S+/no\.npz' does not exist\.",
    "Lfs Pointer": r"ONNX model '\S+/pointer\.onnx' is a Git LFS pointer: expected the model itself, got a text of \d+ bytes that names it\. Hint: git lfs pull fetches it",
    "Not On The Gpu": r"ONNX model 'not-on-the-gpu-mlp-\d+' does not run on a GPU: expected nodes computed by a GPU provider, got CPU 2 of 2 nodes, 100% of the time\. Hint: load it with providers=CUDA",
    "Not Deterministic": r"ONNX model 'not-deterministic-noise-\d+' is not deterministic: run 2: ONNX output 'y' .*",
    "Not Batch Invariant": r"ONNX model 'not-batch-invariant-center-\d+' depends on its batch: row 0 alone and among 4: ONNX output 'y' .*",
    "Gpu Option On The Cpu": r"device_id belongs to another provider: expected one of: CUDA, .*, got CPU\. Hint: name it in providers=",
    "Size Without A Unit": r"memory_limit cannot be used: expected a size with a unit, such as 500 MB or 2 GiB, got '500'\.",
    "No Picture": r"Picture '/no/such\.png' does not exist\.",
    "Unloaded": r"No ONNX model 'gone' is open: expected one of: none\. Hint: use Load Onnx Model",
    "Runtime Words": r"ONNX model 'gather' failed: got operator Gather: indices element out of data bounds, .*",
    "Wrong Input Type": r"ONNX input 'x' has the wrong type: expected float32, got float64\. Hint: Create Tensor \.\.\. dtype=float32",
    "Ragged Input": r"ONNX input 'x': ONNX values are ragged: expected rows of one length\.",
    "Unreadable Input": r"ONNX values cannot be read: expected JSON such as .* or numpy arrays, got 'one and one'\.",
    "Missing File": r"ONNX model '/no/such/model\.onnx' does not exist\. Hint: Create Onnx Model makes one",
    "Empty File": r"ONNX model '\S+/empty\.onnx' is empty: expected a \.onnx file, got 0 bytes\.",
    "Broken File": r"ONNX model '\S+/broken\.onnx' cannot be loaded: got Load model from \S+ failed:Protobuf parsing failed; the file has 20 bytes\.",
    "Folder": r"ONNX model '\S+' is a folder: expected a \.onnx file\.",
    "Unknown Provider": r"Unknown ONNX provider 'CUDDA': expected one of: .*CPU\. Hint: did you mean CUDA\?",
    "Provider Not In This Build": r"ONNX provider MIGraphXExecutionProvider is not in this onnxruntime \S+: expected one of: .*CPU\. Hint: .*",
    "Provider Not Used": r"ONNX provider CUDAExecutionProvider is not used by 'provider-not-used-matmul-\d+': expected CUDAExecutionProvider, got CPU( \(1 node\))?\. Hint: .*",
    "Unknown Kind": r"Argument 'kind': expected one of 'matmul', 'mlp', 'sigmoid', .* or 'center', got 'transformer'\.",
    "Slow Run": r"ONNX run time: expected < 0 ms, got \d+(\.\d+)? ms\.",
    "Skip For A Typo": r"Unknown ONNX provider 'CUDDA': expected one of: .*CPU\. Hint: did you mean CUDA\?",
    "No Package": r"Loading an ONNX model needs the package 'onnxruntime', which is not installed\. Hint: pip install onnxruntime onnx .*",
}

SKIPS = {
    "Skipped": r"ONNX provider MIGraphXExecutionProvider is not in this onnxruntime .* Hint: .*",
    "Skipped Without The Package": r"Choosing an ONNX provider needs the package 'onnxruntime', which is not installed\. Hint: pip install .*",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("onnx_fail.robot", tmp_path_factory.mktemp("onnx_fail"))


@pytest.mark.parametrize("test", MESSAGES)
def test_the_first_line_tells_it_all(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


@pytest.mark.parametrize("test", SKIPS)
def test_a_skip_has_its_reason(run: InnerRun, test: str) -> None:
    assert run[test].status == "SKIP"
    assert re.fullmatch(SKIPS[test], run[test].first_line), run[test].message


def test_every_test_of_the_suite_is_read(run: InnerRun) -> None:
    assert set(run.tests) == set(MESSAGES) | set(SKIPS)
    assert "Traceback" not in "".join(test.message for test in run.tests.values())


def test_what_onnxruntime_writes_is_in_the_log_of_the_keyword_that_failed(run: InnerRun) -> None:
    assert any("onnxruntime wrote:" in line and "out of data bounds" in line for line in run["Runtime Words"].log)


def test_nothing_of_onnxruntime_reaches_the_console(run: InnerRun) -> None:
    assert "onnxruntime:" not in run.console
