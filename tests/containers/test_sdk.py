"""The docker SDK is imported when it is first used, which a time limit may end."""

from __future__ import annotations

import subprocess
import sys

import pytest

INTERRUPTED = """
import sys
if len(sys.argv) > 2:
    import requests as earlier
from InferenceLibrary.containers.engine import api_errors, sdk

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
try:
    sdk()
except KeyboardInterrupt:
    print("interrupted")
print(api_errors()[1] is __import__("requests").exceptions.RequestException)
if len(sys.argv) > 2:
    print(sys.modules["requests"] is earlier)
"""


@pytest.mark.parametrize("module", ["docker.errors", "requests.adapters", "requests.sessions"])
def test_an_interrupted_import_is_made_anew(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, module], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["interrupted", "True"], done.stderr


def test_what_somebody_else_has_imported_stays() -> None:
    command = [sys.executable, "-c", INTERRUPTED, "docker.errors", "requests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["interrupted", "True", "True"], done.stderr
