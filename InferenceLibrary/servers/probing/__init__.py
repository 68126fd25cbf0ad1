"""Finding out what a server offers: the smallest right request for each capability, asked and read."""
