"""matplotlib, imported when a picture is drawn, and what the displays share in drawing."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

# Okabe and Ito 2008, without the yellow: told apart also by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DIVERGING = "RdBu_r"  # of signed numbers: blue is negative, white is zero, red is positive
SEQUENTIAL = "viridis"
GREY = "#707070"
LONGEST_NAME = 24
LOG_FROM = 30.0  # ratio of the largest to the smallest number from which an axis is logarithmic


def matplotlib_for(caller: str) -> SimpleNamespace:
    """Return the modules of matplotlib that displays use, by their last names.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names `caller`.
    """
    try:
        import matplotlib
        from matplotlib import cbook, cm, collections, colors, lines, patches, patheffects, pyplot, ticker
        from mpl_toolkits import axes_grid1  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            f'{caller} draws with matplotlib: install it by `pip install "fastbp[plot]"`, or by '
            "`pip install matplotlib`."
        ) from error
    return SimpleNamespace(
        axes_grid1=axes_grid1,
        cbook=cbook,
        cm=cm,
        collections=collections,
        colormaps=matplotlib.colormaps,
        colors=colors,
        lines=lines,
        patches=patches,
        patheffects=patheffects,
        pyplot=pyplot,
        ticker=ticker,
    )


def with_style(mpl: SimpleNamespace, artist: Any, defaults: dict[str, Any], given: Any) -> dict[str, Any]:
    """Return keyword arguments of an artist: the user's over the defaults, aliases such as "c" understood."""
    return {**defaults, **mpl.cbook.normalize_kwargs(given or {}, artist)}


def colours_of(mpl: SimpleNamespace, n: int) -> list[Any]:
    """Return `n` colours of things without an order."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    return shades_of(mpl, n)


def shades_of(mpl: SimpleNamespace, n: int) -> list[Any]:
    """Return `n` colours of things in an order, from dark to light, none too light for a white page."""
    shades = mpl.colormaps[SEQUENTIAL]
    return [shades(place) for place in np.linspace(0.0, 0.85, n)]


def spans_decades(values: Any) -> bool:
    """Return whether numbers are positive and spread so widely that they need a logarithmic axis."""
    finite = np.asarray(values, np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    return bool(len(finite) and finite.min() > 0 and finite.max() > LOG_FROM * finite.min())


def shortened(name: Any) -> str:
    """Return a name that leaves room for others."""
    text = str(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def count_epochs(mpl: SimpleNamespace, ax: Any) -> None:
    """Put the ticks of epochs on integers only."""
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, min_n_ticks=1))


def choice(name: str, value: Any, choices: Mapping[str, Any] | tuple[str, ...]) -> Any:
    """Return `value` if it is one of `choices`, or raise ValueError."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}.")
    return value


def symmetric_limit(*arrays: Any) -> float:
    """Return the largest absolute value, 1 if all are zero: the end of a symmetric scale."""
    largest = max((float(np.abs(array).max()) for array in arrays if np.size(array)), default=0.0)
    return largest or 1.0


def same_length(name: str, given: Any, n: int, of_what: str) -> list[str]:
    """Return given names as strings, or raise ValueError if their number is not `n`."""
    names = [str(one) for one in given]
    if len(names) != n:
        raise ValueError(f"{name} has {len(names)} names, but there are {n} {of_what}.")
    return names
