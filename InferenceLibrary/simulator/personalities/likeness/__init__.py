"""Real servers, played as the choices of their dialects have it."""
