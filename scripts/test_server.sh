#!/usr/bin/env bash
# Build a server once (ollama or mistralrs), then run what needs it, with a tiny model of our own.
# Needs the library's environment on the PATH; RESULTS is the output folder, OLLAMA or MISTRALRS the path of one.
set -uo pipefail
cd "$(dirname "$0")/.."
name=$1
path=${name^^}
results=${RESULTS:-results}/$name
mkdir -p "$results"
rm -f "$results/SKIPPED.txt"

if [ -z "${!path:-}" ]; then
    if ! built=$(python scripts/install_program.py "$name"); then
        echo "SKIPPED: $name cannot be built here; the reason stands above. Hint: set $path to its path" |
            tee "$results/SKIPPED.txt" >&2
        exit 0
    fi
    export "$path=$built"
fi
python -m pytest -m real "tests/servers/test_$name.py" --junitxml "$results/junit.xml" ${PYTEST_OPTIONS:-}
