"""What the simulator does wrong on request: a catalogue of faults, each the breach of as little as can be."""
