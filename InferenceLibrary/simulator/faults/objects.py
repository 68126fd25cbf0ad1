"""Faults in answers that are one object: models, embeddings, errors and others."""
