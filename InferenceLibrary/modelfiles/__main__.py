"""`python -m InferenceLibrary.modelfiles KIND PATH`: write a model file from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.modelfiles.answers import DEFAULT_SENTENCE
from InferenceLibrary.modelfiles.broken import BROKEN_KINDS, create_broken_model
from InferenceLibrary.modelfiles.tiny import TINY_KINDS, create_tiny_model

KINDS = [kind for kind in TINY_KINDS if kind != "answers"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one file, say what it is; return the exit code: 0 written, 1 refused, 2 wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m InferenceLibrary.modelfiles",
        description="Write a small model file, whole or broken, for tests of a server.",
    )
    parser.add_argument(
        "kind", choices=[*KINDS, *BROKEN_KINDS], metavar="KIND", help=", ".join([*KINDS, *BROKEN_KINDS])
    )
    parser.add_argument("path", metavar="PATH", help="the file to write, such as capitals.gguf")
    parser.add_argument("--sentence", default=DEFAULT_SENTENCE, help="what a scripted model says")
    parser.add_argument("--size-mb", type=float, help="fill the file up to this size; a larger model is slower")
    parser.add_argument("--seed", type=int, default=0, help="seed of a random model")
    parser.add_argument("--context-length", type=int, default=4096, help="tokens that the model can look back on")
    options = parser.parse_args(arguments)
    try:
        if options.kind in BROKEN_KINDS:
            made = create_broken_model(options.path, options.kind)
        else:
            made = create_tiny_model(
                options.path,
                options.kind,
                sentence=options.sentence,
                size=None if options.size_mb is None else int(options.size_mb * 1e6),
                seed=options.seed,
                context_length=options.context_length,
            )
    except InferenceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{made}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
