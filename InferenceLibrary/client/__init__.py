"""Ring 2: calls over HTTP, their limits, retries and records."""
