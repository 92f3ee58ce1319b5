"""Commands of ``python -m fastbp``."""
