"""Run the simulator with `python -m InferenceLibrary.simulator`."""

from InferenceLibrary.simulator.cli import main

raise SystemExit(main())
