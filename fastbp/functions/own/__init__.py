"""Formulas of a user's own: activations, losses, solvers and schedules in place of a registered name."""
