"""Picture of training: loss, validation, learning rate by epoch."""

from collections.abc import Mapping
from itertools import groupby
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from fastbp.plots.curves import LossCurve, curve_of_history, curves_of
from fastbp.plots.drawing import (
    GREY,
    choice,
    colours_of,
    count_epochs,
    matplotlib_for,
    spans_decades,
    with_style,
)
from fastbp.plots.layer_statistics import history_of

SCALES = ("auto", "linear", "log")
MOST_INSIDE = 7  # entries of a legend within the axes
SCORE_PANEL = 0.6  # its height over that of the losses
LEGEND_WIDTH = 2.0  # inches beside the axes
FAINT = 0.45


class LossCurveDisplay:
    """Training loss, validation loss or score, and learning rate by epoch.

    Make one with `from_estimator`, `from_results` or `from_history`. The epoch whose weights early stopping
    has kept is marked. A validation score has a panel of its own below that of the losses; a learning rate
    that changes is drawn in the background, on an axis on the right.

    Parameters
    ----------
    curves : list of LossCurve
        Of `fastbp.plots.curves`: name, loss, validation_loss, validation_score, best_epoch, rates.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
        Of the losses.
    score_ax_, rate_ax_ : matplotlib Axes or None
        Of validation scores and of learning rates.
    lines_ : list of Line2D
        Training losses, one for each curve.
    validation_lines_, best_markers_, rate_lines_ : list of Line2D or None
        One for each curve, None where it has none; members with the same learning rates have one line.
    legend_ : Legend

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.plots import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> network = BPClassifier((20,), early_stopping=True, max_iter=20, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(network)
    >>> len(display.lines_[0].get_ydata()) == network.n_iter_
    True
    """

    # Artists of matplotlib, which may not be there.
    ax_: Any
    score_ax_: Any
    rate_ax_: Any
    lines_: list[Any]
    validation_lines_: list[Any]
    best_markers_: list[Any]
    rate_lines_: list[Any]

    def __init__(self, curves: list[LossCurve]) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        loss_scale: str = "auto",
        line_kw: Mapping[str, Any] | None = None,
        validation_kw: Mapping[str, Any] | None = None,
        rate_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the course of fits.

        Parameters
        ----------
        estimator : fitted estimator, or a list or dictionary of them
            A network, a pipeline or search with one, an ensemble or table model, of which the members are
            drawn; scikit-learn's MLPClassifier and MLPRegressor, too. The keys of a dictionary are the names
            in the legend; those in a list are named by the parameters in which they differ.
        ax, loss_scale, line_kw, validation_kw, rate_kw
            See `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        NotFittedError, TypeError
            For an estimator that is not fitted, or has no network.
        ValueError
            For ``solver="lbfgs"``, which keeps no curve: record one by `LayerStatistics`.

        Notes
        -----
        Learning rates are worked out from the estimator's parameters; after several calls of `partial_fit` or
        a warm start they are not known, and not drawn.
        """
        display = cls(curves_of(estimator, f"{cls.__name__}.from_estimator"))
        return display.plot(
            ax, loss_scale=loss_scale, line_kw=line_kw, validation_kw=validation_kw, rate_kw=rate_kw
        )

    @classmethod
    def from_results(cls, results: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the courses of the fits of a cross-validation.

        Parameters
        ----------
        results : dict
            Of `sklearn.model_selection.cross_validate` with ``return_estimator=True``.
        ax, **kwargs
            See `plot`.

        Returns
        -------
        LossCurveDisplay
        """
        caller = f"{cls.__name__}.from_results"
        if hasattr(results, "cv_results_") or (isinstance(results, Mapping) and "params" in results):
            raise TypeError(
                f"{caller}: a search keeps scores but no loss curves of its candidates. "
                "SearchResultsDisplay draws the scores; LossCurveDisplay.from_estimator(search) the course "
                "of its best model."
            )
        if not isinstance(results, Mapping) or "estimator" not in results:
            raise ValueError(
                f"{caller} needs the dictionary that cross_validate(..., return_estimator=True) returns."
            )
        folds = {f"fold {number}": one for number, one in enumerate(results["estimator"], 1)}
        return cls(curves_of(folds, caller)).plot(ax, **kwargs)

    @classmethod
    def from_history(cls, history: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the course of a fit that `LayerStatistics` has recorded, with ``solver="lbfgs"`` too.

        Parameters
        ----------
        history : LayerHistory or LayerStatistics
            Of a callback the latest fit.
        ax, **kwargs
            See `plot`.

        Returns
        -------
        LossCurveDisplay
        """
        curve = curve_of_history(history_of(history, f"{cls.__name__}.from_history"))
        return cls([curve]).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        loss_scale: str = "auto",
        line_kw: Mapping[str, Any] | None = None,
        validation_kw: Mapping[str, Any] | None = None,
        rate_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a panel for scores takes its lower part. None makes a new figure.
        loss_scale : {"auto", "linear", "log"}, default="auto"
            Of the axis of losses; "auto" is logarithmic where they span more than a factor of 30.
        line_kw, validation_kw, rate_kw : dict, default=None
            Keyword arguments of the lines of training losses, validation and learning rates.

        Returns
        -------
        self : LossCurveDisplay
        """
        choice("loss_scale", loss_scale, SCALES)
        mpl = matplotlib_for(f"{type(self).__name__}.plot")
        scored = any(curve.validation_score is not None for curve in self.curves)
        self._make_axes(mpl, ax, scored)
        kwargs = {"line": line_kw, "validation": validation_kw, "rate": rate_kw}
        self.lines_, self.validation_lines_, self.best_markers_, self.rate_lines_ = [], [], [], []
        groups = [list(group) for _, group in groupby(self.curves, key=lambda curve: curve.name)]
        for colour, group in zip(colours_of(mpl, len(groups)), groups, strict=True):
            for curve in group:
                self._draw(mpl, curve, colour, kwargs)
        self._finish(mpl, loss_scale, groups)
        return self

    def _make_axes(self, mpl: SimpleNamespace, ax: Any, scored: bool) -> None:
        self.score_ax_ = self.rate_ax_ = None
        self._is_own_figure = ax is None
        if ax is None:
            heights = [1.0, SCORE_PANEL] if scored else [1.0]
            self.figure_, axes = mpl.pyplot.subplots(
                len(heights),
                1,
                sharex=True,
                squeeze=False,
                height_ratios=heights,
                figsize=(6.4, 4.0 * sum(heights)),
                layout="constrained",
            )
            self.ax_ = axes[0, 0]
            self.score_ax_ = axes[1, 0] if scored else None
            return
        self.ax_, self.figure_ = ax, ax.figure
        if scored:
            divider = mpl.axes_grid1.make_axes_locatable(ax)
            size = f"{100 * SCORE_PANEL:.0f}%"
            self.score_ax_ = divider.append_axes("bottom", size=size, pad=0.12, sharex=ax)
            ax.tick_params(labelbottom=False)

    def _draw(self, mpl: SimpleNamespace, curve: LossCurve, colour: Any, kwargs: dict[str, Any]) -> None:
        common = {"color": colour, "alpha": FAINT if curve.is_member else 1.0}
        single = {"marker": "o", "markersize": 4} if len(curve.loss) == 1 else {}
        line = mpl.lines.Line2D
        (loss,) = self.ax_.plot(
            np.arange(1, len(curve.loss) + 1),
            curve.loss,
            **with_style(mpl, line, {**common, **single, "linewidth": 1.6}, kwargs["line"]),
        )
        self.lines_.append(loss)
        validation = marker = rate = None
        if curve.monitored is not None:
            ax = self.ax_ if curve.validation_score is None else self.score_ax_
            dashes = {"linestyle": "--"} if curve.validation_score is None else {}
            (validation,) = ax.plot(
                np.arange(1, len(curve.monitored) + 1),
                curve.monitored,
                **with_style(
                    mpl, line, {**common, **single, **dashes, "linewidth": 1.6}, kwargs["validation"]
                ),
            )
            if curve.best_epoch is not None:
                best = {"marker": "o", "markersize": 7, "markeredgecolor": "white", "linestyle": "none"}
                (marker,) = ax.plot(
                    [curve.best_epoch],
                    [curve.monitored[curve.best_epoch - 1]],
                    **{**common, **best, "zorder": 4, "alpha": 1.0},
                )
        if curve.rates is not None and not self._is_drawn(curve):
            rate = self._draw_rate(mpl, curve.rates, colour, kwargs["rate"])
        self.validation_lines_.append(validation)
        self.best_markers_.append(marker)
        self.rate_lines_.append(rate)

    def _is_drawn(self, curve: LossCurve) -> bool:
        """Return whether a member has the learning rates of the one before it."""
        at = self.curves.index(curve)
        before = self.curves[at - 1] if at > 0 else curve
        return (
            before is not curve
            and before.name == curve.name
            and before.rates is not None
            and curve.rates is not None
            and before.rates[1][: len(curve.rates[1])].tolist() == curve.rates[1].tolist()
        )

    def _draw_rate(self, mpl: SimpleNamespace, rates: Any, colour: Any, given: Any) -> Any:
        if self.rate_ax_ is None:
            self.rate_ax_ = self.ax_.twinx()
            self.rate_ax_.set_axes_locator(self.ax_.get_axes_locator())
            self.ax_.set_zorder(self.rate_ax_.get_zorder() + 1)  # losses are in front
            self.ax_.patch.set_visible(False)
        alone = len({curve.name for curve in self.curves}) == 1
        defaults = {"color": GREY if alone else colour, "linewidth": 1.0, "linestyle": ":"}
        defaults |= {"drawstyle": "steps-pre"}  # the rate of the steps that end there
        style = with_style(mpl, mpl.lines.Line2D, defaults, given)
        (line,) = self.rate_ax_.plot(*rates, **style)
        return line

    # --- Axes and legend

    def _finish(self, mpl: SimpleNamespace, loss_scale: str, groups: list[list[LossCurve]]) -> None:
        losses = [curve.loss for curve in self.curves]
        losses += [curve.validation_loss for curve in self.curves if curve.validation_loss is not None]
        if loss_scale == "log" or (loss_scale == "auto" and spans_decades(np.concatenate(losses))):
            self.ax_.set_yscale("log")
        self.ax_.set_ylabel("loss")
        lowest = self.ax_
        if self.score_ax_ is not None:
            names = {curve.score_name for curve in self.curves if curve.validation_score is not None}
            self.score_ax_.set_ylabel(f"validation {names.pop() if len(names) == 1 else 'score'}")
            lowest = self.score_ax_
        lowest.set_xlabel("epoch")
        count_epochs(mpl, lowest)
        if self.rate_ax_ is not None:
            rates = np.concatenate([line.get_ydata() for line in self.rate_lines_ if line is not None])
            if spans_decades(rates) and rates.min() > 1e-3 * rates.max():
                self.rate_ax_.set_yscale("log")
            else:
                self.rate_ax_.set_ylim(0.0, 1.05 * rates.max())
            self.rate_ax_.set_ylabel("learning rate", color=GREY)
            self.rate_ax_.tick_params(axis="y", colors=GREY, which="both")
        self._add_legend(mpl, groups)

    def _add_legend(self, mpl: SimpleNamespace, groups: list[list[LossCurve]]) -> None:
        line = mpl.lines.Line2D
        entries = []
        for group in groups:
            at = self.curves.index(group[0])
            name = group[0].name
            if len(group) > 1:
                name = f"{len(group)} members" if name is None else f"{name} ({len(group)} members)"
            if name is not None or len(groups) > 1:
                colour = self.lines_[at].get_color()
                entries.append((line([], [], color=colour, linewidth=1.6), name))
        named, alone = bool(entries), len(self.curves) == 1
        colour = "black" if named else self.lines_[0].get_color()
        with_losses = any(curve.validation_loss is not None for curve in self.curves)
        if alone or with_losses:
            entries.append((line([], [], color=colour), "training loss"))
        if with_losses:
            entries.append((line([], [], color=colour, linestyle="--"), "validation loss"))
        if any(marker is not None for marker in self.best_markers_):
            text = f"best epoch: {self.curves[0].best_epoch}" if alone else "best epoch"
            entries.append((line([], [], color=colour, marker="o", linestyle="none"), text))
        if self.rate_ax_ is not None:
            dotted = GREY if len(groups) == 1 else colour
            entries.append((line([], [], color=dotted, linestyle=":"), "learning rate"))
        place: dict[str, Any] = {"loc": "best"}
        if len(entries) > MOST_INSIDE:
            if self._is_own_figure:  # room for the legend
                width, height = self.figure_.get_size_inches()
                self.figure_.set_size_inches(width + LEGEND_WIDTH, height)
            beside = 1.16 if self.rate_ax_ is not None else 1.02
            place = {"loc": "upper left", "bbox_to_anchor": (beside, 1.0), "borderaxespad": 0.0}
        self.legend_ = self.ax_.legend(*zip(*entries, strict=True), fontsize="small", **place)
