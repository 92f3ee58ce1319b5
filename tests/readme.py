"""The documents' text, Python and tables."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Document:
    """A Markdown file of the repository.

    Attributes
    ----------
    name : str
        Its path from the repository's root.
    """

    name: str

    @property
    def path(self):
        return ROOT / self.name

    @cached_property
    def text(self):
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self):
        """Python as (line, code); blocks with prompts are run by pytest's doctest (see pyproject.toml)."""
        return [
            (self.text.count("\n", 0, match.start()) + 1, match["code"])
            for match in re.finditer(
                r"^```(?:python|py)\n(?P<code>.*?)^```", self.text, re.MULTILINE | re.DOTALL
            )
            if ">>>" not in match["code"]
        ]

    @cached_property
    def prose(self):
        """The text without what stands between fences."""
        return re.sub(r"^```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @cached_property
    def anchors(self):
        """What links may name of this document: its headings, as Git hosts spell them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def tables(self):
        """Each table as a list of lines."""
        return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", self.prose, re.MULTILINE)]

    def table(self, *header):
        """The rows of the one table whose header begins with these cells."""
        (lines,) = [lines for lines in self.tables() if cells(lines[0])[: len(header)] == list(header)]
        rows = [cells(line) for line in lines[2:]]
        assert all(len(row) == len(cells(lines[0])) for row in rows)
        return rows


def cells(line):
    """The cells of a line of a table: bars behind a backslash are theirs."""
    return [
        cell.strip().replace(r"\|", "|")
        for cell in re.split(r"(?<!\\)\|", line.strip().removesuffix("|"))[1:]
    ]


def quoted(cell):
    """What stands between backquotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)


README = Document("README.md")
CHANGELOG = Document("CHANGELOG.md")
BENCH = Document("bench/README.md")
ENGINES = Document("fastbp/engines/README.md")
ESTIMATORS = Document("fastbp/estimators/README.md")
FUNCTIONS = Document("fastbp/functions/README.md")
DIAGNOSIS = Document("fastbp/diagnosis/README.md")
EXPORT = Document("fastbp/export/README.md")
ONNX = Document("fastbp/onnx/README.md")
PERSISTENCE = Document("fastbp/persistence/README.md")
PLOTS = Document("fastbp/plots/README.md")
# of rooms of the package: their Python is run, in order
GUIDES = [DIAGNOSIS, EXPORT, ONNX, PERSISTENCE, PLOTS]
DOCUMENTS = [README, CHANGELOG, BENCH, ENGINES, ESTIMATORS, FUNCTIONS, *GUIDES]
