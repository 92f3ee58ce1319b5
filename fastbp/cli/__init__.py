"""The command line, a file for each command; ``python -m fastbp`` runs it."""
