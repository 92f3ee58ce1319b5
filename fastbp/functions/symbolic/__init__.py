"""Formulas as graphs of operations: recorded from plain Python, differentiated, and written out again."""
