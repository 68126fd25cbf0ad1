"""Programs run to their end: find them, run them within limits, judge their version, help and refusals."""
