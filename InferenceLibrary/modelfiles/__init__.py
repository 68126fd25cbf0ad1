"""Model files: small ones of our own making, whole and broken, and the headers of any, without a download."""
