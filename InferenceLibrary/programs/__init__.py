"""Programs run to their end, within limits; their version, help and refusals judged."""
