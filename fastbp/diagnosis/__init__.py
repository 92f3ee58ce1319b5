"""The training doctor: what is wrong with data, settings or weights, and what to change."""
