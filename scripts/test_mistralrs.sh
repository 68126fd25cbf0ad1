#!/usr/bin/env bash
# Build mistral.rs's server from crates.io once (about 25 minutes on two cores), then check it and run the suites on it.
# Needs the library's environment on the PATH; RESULTS is the output folder.
set -uo pipefail
cd "$(dirname "$0")/.."
results=${RESULTS:-results}/mistralrs
version=0.8.1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/inferencelibrary
root=$cache/mistralrs-$version
mkdir -p "$results" "$root"

if [ -z "${MISTRALRS:-}" ]; then
    if ! command -v cargo >/dev/null; then
        echo "SKIPPED: there is no cargo. Hint: install Rust, or set MISTRALRS to the path of mistralrs" |
            tee "$results/SKIPPED.txt" >&2
        exit 0
    fi
    export MISTRALRS="$root/bin/mistralrs"
    # cargo moves the program to its place at the end, so what stands there is whole.
    if [ ! -x "$MISTRALRS" ]; then
        flock "$cache/mistralrs.lock" cargo install --locked --root "$root" "mistralrs-cli@$version" >&2 || exit 1
    fi
fi
python -m InferenceLibrary.modelfiles capitals "$root/capitals.gguf" >&2 || exit 1

rfinference check mistralrs --suites --option model_file="$root/capitals.gguf" --output "$results"
