"""The rulebook: what is right on the wire, said once. `book.judge` asks it about an exchange."""
