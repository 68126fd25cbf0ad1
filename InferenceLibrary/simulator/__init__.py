"""A stand-in inference server: fast, exact in time, and breakable on command. A program of its own."""
