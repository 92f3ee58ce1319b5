"""What the scripts here share of their command lines, the machine's description and the tables."""

import argparse
import os
import platform
from pathlib import Path


def machine() -> dict:
    """Return what must stand beside every measured number."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
    }


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def table(header: list[str], rows: list[list[str]], markdown: bool = False) -> str:
    """Return a table; the first column is aligned to the left, the others to the right."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]

    def line(row):
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(cell).rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        return "| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip()

    rule = ["-" * w for w in widths]
    if markdown:
        rule[1:] = [r[:-1] + ":" for r in rule[1:]]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def number(value: float | None, digits: int = 3) -> str:
    """Return `value` with so many significant digits, or a dash for None."""
    if value is None:
        return "–"
    if value == 0 or value != value:
        return str(value)
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    if magnitude >= digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if abs(value) < 1e-3 else f"{value:.{digits - magnitude}f}"


def percent(share: float | None) -> str:
    return number(None) if share is None else f"{100 * share:.{int(share < 0.1)}f} %"


def positive(kind):
    """Return what argparse converts an argument with that must be above 0."""

    def convert(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not positive")
        return value

    convert.__name__ = kind.__name__  # what argparse calls it in its errors
    return convert
