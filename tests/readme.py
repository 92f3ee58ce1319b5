"""The README's text and its tables."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")

# Blocks with prompts are run by pytest's doctest (see pyproject.toml).
BLOCKS = [
    (TEXT.count("\n", 0, match.start()) + 1, match["code"])
    for match in re.finditer(r"^```(?:python|py)\n(?P<code>.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    if ">>>" not in match["code"]
]


def cells(line):
    """The cells of a line of a table: bars behind a backslash are theirs."""
    return [
        cell.strip().replace(r"\|", "|")
        for cell in re.split(r"(?<!\\)\|", line.strip().removesuffix("|"))[1:]
    ]


def table(*header):
    """The rows of the one table whose header begins with these cells."""
    blocks = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE)]
    (lines,) = [lines for lines in blocks if cells(lines[0])[: len(header)] == list(header)]
    rows = [cells(line) for line in lines[2:]]
    assert all(len(row) == len(cells(lines[0])) for row in rows)
    return rows


def quoted(cell):
    """What stands between backquotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)
