#!/usr/bin/env bash
# Build mistral.rs's server from crates.io once (about 25 minutes on two cores), then run what needs it.
# Needs the library's environment on the PATH; RESULTS is the output folder.
set -uo pipefail
cd "$(dirname "$0")/.."
results=${RESULTS:-results}/mistralrs
mkdir -p "$results"
rm -f "$results/SKIPPED.txt"

if [ -z "${MISTRALRS:-}" ]; then
    if ! MISTRALRS=$(python scripts/install_program.py mistralrs); then
        echo "SKIPPED: mistral.rs cannot be built here; the reason stands above. Hint: install Rust, or set MISTRALRS to its path" |
            tee "$results/SKIPPED.txt" >&2
        exit 0
    fi
    export MISTRALRS
fi
python -m pytest -m real tests/servers/test_mistralrs.py --junitxml "$results/junit.xml" ${PYTEST_OPTIONS:-}
