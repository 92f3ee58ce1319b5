"""Findings, and the report that holds them."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from html import escape
from typing import Any, Literal

Severity = Literal["info", "warning", "serious"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "info")  # the worst first
WIDTH = 100
MARKS = {"serious": "!!", "warning": " !", "info": "  "}
COLOURS = {"serious": "#b3261e", "warning": "#8a5a00", "info": "#3b5b7d"}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    severity : {"info", "warning", "serious"}
        "serious": the network learns badly or its scores mislead; "warning": worth a change; "info": good to
        know.
    message : str
        What was found, with the figure that shows it.
    value : float
        That figure.
    remedy : str
        What to change.
    change : dict
        Parameters of the network and values to set, as for `set_params`; empty if the remedy is another one.
    details : dict
        Where it was found: numbers of rows or columns, layers, classes.
    code : str
        Stable name of the illness.
    """

    severity: Severity
    message: str
    value: float
    remedy: str
    change: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""

    def __str__(self) -> str:
        return f"{self.code} ({self.severity}): {self.message} {self.remedy}"


class Report:
    """Findings of `diagnose`, the worst first.

    Iteration gives the findings, ``report["dead_units"]`` the finding with this code or None, ``len(report)``
    their number, ``"dead_units" in report`` whether it was found.

    Attributes
    ----------
    findings : tuple of Finding
    subject : str
        What was diagnosed.
    notes : tuple of str
        How: samples that were drawn, copies that were trained.
    checked : tuple of str
        Codes of the checks that were made.
    skipped : dict
        Codes of the checks that were not made, and why.
    """

    def __init__(
        self,
        findings: list[Finding],
        subject: str,
        notes: list[str],
        checked: list[str],
        skipped: Mapping[str, str],
    ) -> None:
        # sorted() is stable: findings of one severity stay in the order of the checks
        self.findings = tuple(sorted(findings, key=lambda one: SEVERITIES.index(one.severity)))
        self.subject = subject
        self.notes = tuple(notes)
        self.checked = tuple(checked)
        self.skipped = dict(skipped)

    # --- Access

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return True  # a report with nothing in it is one, too

    def __contains__(self, code: object) -> bool:
        return any(one.code == code for one in self.findings)

    def __getitem__(self, code: str) -> Finding | None:
        for one in self.findings:
            if one.code == code:
                return one
        known = [*self.checked, *self.skipped]
        if code not in known:
            close = get_close_matches(str(code), known)
            meant = f" Did you mean {close[0]!r}?" if close else f" There are {known}."
            raise KeyError(f"no check has the code {code!r}.{meant}")
        return None

    @property
    def healthy(self) -> bool:
        """Whether there is neither a warning nor anything serious."""
        return all(one.severity == "info" for one in self.findings)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of a severity: "info", "warning" or "serious"."""
        if severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {list(SEVERITIES)}, got {severity!r}.")
        return tuple(one for one in self.findings if one.severity == severity)

    def to_frame(self) -> Any:
        """Return the findings as a pandas data frame, a row each.

        Raises
        ------
        ImportError
            Without pandas.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped]
        except ImportError as error:
            raise ImportError("Report.to_frame() needs pandas: pip install pandas") from error
        names = ["code", "severity", "value", "message", "remedy", "change", "details"]
        rows = [[getattr(one, name) for name in names] for one in self.findings]
        return pd.DataFrame(rows, columns=names)

    # --- Text

    def _summary(self) -> str:
        counts = {severity: len(self.of(severity)) for severity in SEVERITIES}
        warnings = "warning" if counts["warning"] == 1 else "warnings"
        names = {"serious": "serious", "warning": warnings, "info": "for information"}
        found = ", ".join(f"{counts[one]} {names[one]}" for one in SEVERITIES if counts[one])
        made = "1 check" if len(self.checked) == 1 else f"{len(self.checked)} checks"
        if not self.findings:
            return f"Nothing found in {made}."
        return f"No illness found in {made}; {found}." if self.healthy else f"{found}, in {made}."

    def __str__(self) -> str:
        lines = [*textwrap.wrap(f"Diagnosis of {self.subject}", WIDTH), self._summary()]
        for one in self.findings:
            lines += ["", f"{MARKS[one.severity]} {one.severity}: {one.code}"]
            lines += _wrapped(one.message)
            if one.remedy:
                lines += _wrapped(f"→ {one.remedy}")
        if self.notes:
            lines.append("")
            for note in self.notes:
                lines += textwrap.wrap(note, WIDTH, initial_indent="- ", subsequent_indent="  ")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="color:{COLOURS[one.severity]};font-weight:bold">{one.severity}</td>'
            f"<td><code>{escape(one.code)}</code></td>"
            f'<td style="text-align:left">{escape(one.message)}</td><td '
            f'style="text-align:left">{escape(one.remedy)}</td></tr>'
            for one in self.findings
        )
        head = "<tr><th></th><th>code</th><th>found</th><th>what to change</th></tr>"
        table = f"<table>{head}{rows}</table>" if rows else ""
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        title = f"<b>Diagnosis of {escape(self.subject)}</b><br>{escape(self._summary())}"
        return f"<div>{title}{table}<ul>{notes}</ul></div>"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="   ", subsequent_indent="   ")
