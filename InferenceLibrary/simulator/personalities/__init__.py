"""The systems that the simulator stands in for, a module each."""
