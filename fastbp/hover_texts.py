"""The HTML representation of estimators, with the texts of the docstrings."""

import re
from typing import Any

NO_PAGE = "#"
LINK = re.compile(r'\s+rel="noreferrer"\s+target="_blank"\s+href="#[^"]*"')


class DescribedInHTML:
    """Mixin of estimators: a notebook shows what a parameter or attribute is when the mouse is over its name.

    scikit-learn shows the texts of a docstring only where it can link to a page on the web.
    """

    def _get_params_html(self, deep: bool = True, doc_link: str = "") -> Any:
        shown = super()._get_params_html(deep, doc_link or NO_PAGE)  # type: ignore[misc]
        return shown if doc_link else _WithoutLinks(shown)

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        shown = super()._get_fitted_attr_html(doc_link or NO_PAGE)  # type: ignore[misc]
        return shown if doc_link else _WithoutLinks(shown)


class _WithoutLinks:
    """A table of scikit-learn's whose names link nowhere."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def _repr_html_inner(self) -> str:
        return LINK.sub("", self._shown._repr_html_inner())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)

    def __getitem__(self, name: str) -> Any:
        return self._shown[name]

    def __len__(self) -> int:
        return len(self._shown)
