"""Picture of the scores of a search."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from fastbp.plots.drawing import COLOURS, GREY, colours_of, matplotlib_for, shades_of, shortened, with_style
from fastbp.plots.search_scores import (
    MOST_LINES,
    ScoreLine,
    SearchScores,
    describe,
    read_scores,
    results_of,
    short_name,
)

MOST_INSIDE = 5  # entries of a legend within the axes
FEW_VALUES = 8  # of a parameter, each of which has a tick
CLOSEST = 0.06  # ticks, as a share of the axis
BESIDE = 0.08  # between points of one value that is no number
WIDEST_TICKS = 30  # characters of all tick labels in a row, above which they are turned


class SearchResultsDisplay:
    """Test scores of the candidates of a search.

    Against the parameter with the most values, a line for each setting of the others if these are few, else
    one point for each candidate; values that are no numbers are points with error bars. Of a halving search
    against its resources, a line for each candidate. The best candidate is marked. Make one with
    `from_estimator` or `from_results`.

    Parameters
    ----------
    cv_results : dict
        `cv_results_` of a search of scikit-learn or of `fastbp.model_selection`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : list of Line2D
        Mean test scores.
    fill_between_ : list of PolyCollection
        Their standard deviations over the folds; of lines only, and not of halving searches.
    errorbars_ : list of ErrorbarContainer
        The same for values that are no numbers.
    best_marker_ : Line2D
    legend_ : Legend

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.model_selection import GridSearchCV
    >>> from fastbp.plots import SearchResultsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> network = BPClassifier((10,), max_iter=10, tol=0, random_state=0)
    >>> search = GridSearchCV(network, {"learning_rate_init": [1e-5, 1e-4, 1e-1]}, cv=3).fit(X, y)
    >>> display = SearchResultsDisplay.from_estimator(search)
    >>> display.best_marker_.get_xdata()
    array([0.1])
    """

    lines_: list[Any]  # of matplotlib, which may not be there
    fill_between_: list[Any]
    errorbars_: list[Any]

    def __init__(self, cv_results: Mapping[str, Any]) -> None:
        self.cv_results = cv_results

    @classmethod
    def from_estimator(cls, search: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the scores of a fitted search.

        Parameters
        ----------
        search : fitted search
            Of scikit-learn or of `fastbp.model_selection`.
        ax, **kwargs
            See `plot`.

        Returns
        -------
        SearchResultsDisplay
        """
        return cls(results_of(search, f"{cls.__name__}.from_estimator")).plot(ax, **kwargs)

    @classmethod
    def from_results(cls, cv_results: Mapping[str, Any], *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the scores in `cv_results_`.

        Parameters
        ----------
        cv_results : dict
        ax, **kwargs
            See `plot`.

        Returns
        -------
        SearchResultsDisplay
        """
        return cls(results_of(cv_results, f"{cls.__name__}.from_results")).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        metric: str | None = None,
        param: str | None = None,
        score_name: str | None = None,
        line_kw: Mapping[str, Any] | None = None,
        fill_between_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        metric : str, default=None
            Which score, of a search with several.
        param : str, default=None
            Parameter on the x-axis, with or without the names of a pipeline's steps before it. None: the
            number with the most values, or the resource of a halving search.
        score_name : str, default=None
            Of the y-axis.
        line_kw, fill_between_kw : dict, default=None
            Keyword arguments of the lines and of the bands.

        Returns
        -------
        self : SearchResultsDisplay
        """
        scores = read_scores(self.cv_results, metric, param)
        mpl = matplotlib_for(f"{type(self).__name__}.plot")
        if ax is None:
            _, ax = mpl.pyplot.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.fill_between_, self.errorbars_ = [], [], []
        colours = self._colours(mpl, scores)
        shifts: np.ndarray = np.zeros(len(colours))
        if scores.ticks is not None and scores.connected:  # beside each other
            shifts = BESIDE * (np.arange(len(colours)) - (len(colours) - 1) / 2)
        for line, colour, shift in zip(scores.lines, colours, shifts, strict=True):
            self._draw(mpl, scores, line, line.x + shift, colour, line_kw, fill_between_kw)
        self._mark_best(scores, shifts)
        ax.set_xlabel(scores.label)
        ax.set_ylabel(score_name or f"mean test {(metric or 'score').replace('_', ' ')}")
        self._set_ticks(mpl, scores)
        self._add_legend(scores)
        return self

    def _colours(self, mpl: SimpleNamespace, scores: SearchScores) -> list[Any]:
        """Halving: candidates that stayed longest have colours, the others are grey."""
        n = len(scores.lines)
        if not scores.is_halving:
            return colours_of(mpl, n)
        longest = max(len(line.x) for line in scores.lines)
        n_last = sum(len(line.x) == longest for line in scores.lines)
        n_named = min(n_last, len(COLOURS))
        return [*COLOURS[:n_named], *[GREY] * (n - n_named)] if n_named else shades_of(mpl, n)

    def _draw(
        self,
        mpl: SimpleNamespace,
        scores: SearchScores,
        line: ScoreLine,
        x: np.ndarray,
        colour: Any,
        line_kw: Any,
        fill_between_kw: Any,
    ) -> None:
        style: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4, "linewidth": 1.4}
        if not scores.connected:
            style |= {"linestyle": "none", "alpha": 0.7}
        elif scores.ticks is not None:
            style |= {"linestyle": "none", "markersize": 6}
        elif scores.is_halving:
            style |= {"alpha": 0.4, "linewidth": 1.0, "zorder": 1} if colour == GREY else {"zorder": 3}
        style = with_style(mpl, mpl.lines.Line2D, style, line_kw)
        self.lines_.extend(self.ax_.plot(x, line.mean, **style))
        if not scores.connected or scores.is_halving:
            return
        if scores.ticks is not None:
            bars = {"color": colour, "linestyle": "none", "capsize": 3, "elinewidth": 1.2}
            self.errorbars_.append(self.ax_.errorbar(x, line.mean, line.std, **bars))
        elif len(x) > 1:
            band = {"color": colour, "alpha": 0.15, "linewidth": 0.0, **(fill_between_kw or {})}
            self.fill_between_.append(
                self.ax_.fill_between(x, line.mean - line.std, line.mean + line.std, **band)
            )

    def _mark_best(self, scores: SearchScores, shifts: np.ndarray) -> None:
        pairs = zip(scores.lines, shifts, strict=True)
        ((line, shift),) = [(line, shift) for line, shift in pairs if scores.best in line.index]
        at = int(np.flatnonzero(line.index == scores.best)[0])
        ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": "black"}
        (self.best_marker_,) = self.ax_.plot(
            [line.x[at] + shift], [line.mean[at]], linestyle="none", zorder=5, markeredgewidth=1.5, **ring
        )

    def _set_ticks(self, mpl: SimpleNamespace, scores: SearchScores) -> None:
        ax = self.ax_
        if scores.ticks is not None:
            names = [shortened(name) for name in scores.ticks]
            turned = sum(map(len, names)) > WIDEST_TICKS
            place = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if turned else {}
            ax.set_xticks(range(len(names)), names, **place)
            return
        x = np.unique(np.concatenate([line.x for line in scores.lines]))
        if len(x) > 1:
            gaps = np.diff(x)
            is_geometric = x[-1] >= 10 * x[0] and gaps.max() > 5 * gaps.min()
            if x[0] > 0 and (is_geometric or scores.is_halving):
                ax.set_xscale("log")
            elif (x == np.rint(x)).all():
                ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        few = len(x) <= FEW_VALUES and ax.get_xscale() == "linear"
        if scores.is_halving or (few and np.diff(x).min(initial=np.inf) > CLOSEST * np.ptp(x)):
            ax.set_xticks(x, [f"{value:g}" for value in x])
            ax.minorticks_off()

    def _add_legend(self, scores: SearchScores) -> None:
        best = self.cv_results["params"][scores.best]
        entries = []
        shown = zip(self.lines_, scores.lines, strict=True)
        for artist, line in shown:
            if line.name is not None and artist.get_color() != GREY and len(scores.lines) > 1:
                entries.append((artist, line.name))
        n_grey = sum(artist.get_color() == GREY for artist in self.lines_)
        if scores.is_halving and n_grey:
            (artist,) = [one for one in self.lines_ if one.get_color() == GREY][:1]
            entries.append((artist, f"{n_grey} other candidates" if entries else "candidates"))
        if len(entries) == 0:
            names = sorted(best, key=lambda name: short_name(name) != scores.label)
            text = "best: " + "\n".join((describe(best, names) or "").split(", "))
        else:
            text = "best"
        entries.append((self.best_marker_, text))
        place: dict[str, Any] = {"loc": "best"}
        if len(entries) > MOST_INSIDE or max(len(name) for _, name in entries) > 2 * WIDEST_TICKS:
            place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.01), "ncols": 2, "borderaxespad": 0.0}
        self.legend_ = self.ax_.legend(*zip(*entries, strict=True), fontsize="small", **place)
        assert len(scores.lines) <= MOST_LINES or not scores.connected or scores.is_halving
