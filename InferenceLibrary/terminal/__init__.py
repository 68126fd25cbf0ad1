"""Programs in a real pseudo-terminal: typed at, looked at, recorded, and chatted with."""
