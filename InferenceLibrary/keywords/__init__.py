"""Ring 3: the keywords, one stateless class per topic."""
