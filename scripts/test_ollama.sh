#!/usr/bin/env bash
# Build Ollama from its module once, then run what needs it, with a tiny model of our own.
# Needs the library's environment on the PATH; RESULTS is the output folder.
set -uo pipefail
cd "$(dirname "$0")/.."
results=${RESULTS:-results}/ollama
mkdir -p "$results"
rm -f "$results/SKIPPED.txt"

if [ -z "${OLLAMA:-}" ]; then
    if ! OLLAMA=$(python scripts/install_program.py ollama); then
        echo "SKIPPED: Ollama cannot be built here; the reason stands above. Hint: install Go, or set OLLAMA to its path" |
            tee "$results/SKIPPED.txt" >&2
        exit 0
    fi
    export OLLAMA
fi
python -m pytest -m real tests/servers/test_ollama.py --junitxml "$results/junit.xml" ${PYTEST_OPTIONS:-}
