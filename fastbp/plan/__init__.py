"""Plans, made before any computation: ops and offsets of a network, and its training."""
