"""Faults below the events: status line, headers, lengths and pieces of bytes."""
