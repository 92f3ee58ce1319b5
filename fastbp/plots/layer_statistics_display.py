"""Picture of a network's layers during training."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from fastbp.estimators.mlp import BackPropagation
from fastbp.plots.drawing import choice, count_epochs, matplotlib_for, shades_of, spans_decades, with_style
from fastbp.plots.layer_statistics import BOUNDS, RECTIFIERS, LayerHistory, LayerStatistics, history_of
from fastbp.plots.models import innermost

TITLES = {
    "activations": "activations: mean ± standard deviation",
    "inactive": "inactive",
    "gradients": "gradients of the weights: standard deviation",
    "updates": "change of the weights in an epoch / weights",
}
PANEL = (5.0, 3.2)  # inches
MOST_NAMED = 8  # layers in the legend


class LayerStatisticsDisplay:
    """Activations, inactive units, gradients and updates of each layer by epoch.

    Make one with `from_estimator`, which trains a copy, or with `from_history`. Layers are dark at the input
    and light at the output. Activations that shrink or grow from layer to layer, gradients of which some are
    orders of magnitude below others, units that are dead or saturated, and weights that hardly move, or by
    more than themselves, are seen here.

    Parameters
    ----------
    history : LayerHistory
        Of a `LayerStatistics` callback.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : dict of str to matplotlib Axes
        By the names of the statistics.
    lines_ : dict of str to list of Line2D
        By the names of the statistics, a line for each layer; for "inactive", None for layers that have none.
    fill_between_ : list of PolyCollection
        Standard deviations of the activations.
    legend_ : Legend
    estimator_ : estimator
        The one that `from_estimator` has trained.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.plots import LayerStatisticsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> network = BPClassifier((20, 10), max_iter=5, tol=0, random_state=0)
    >>> display = LayerStatisticsDisplay.from_estimator(network, X, y)
    >>> sorted(display.axes_)
    ['activations', 'gradients', 'inactive', 'updates']
    """

    # Of matplotlib, which may not be there.
    axes_: dict[str, Any]
    lines_: dict[str, list[Any]]
    fill_between_: list[Any]
    estimator_: Any

    def __init__(self, history: LayerHistory) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_rows: int = 500,
        fit_params: Mapping[str, Any] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Train a copy, record its layers and draw them.

        Parameters
        ----------
        estimator : BPClassifier, BPRegressor or a pipeline that ends with one
            Not changed; the copy, fitted, is `estimator_`.
        X, y
            As for its `fit`.
        n_rows : int, default=500
            See `LayerStatistics`.
        fit_params : dict, default=None
            Further arguments of `fit`.
        ax, **kwargs
            See `plot`.

        Returns
        -------
        LayerStatisticsDisplay

        Raises
        ------
        TypeError
            For an estimator that is not one network.
        """
        caller = f"{cls.__name__}.from_estimator"
        network = innermost(estimator)
        if not isinstance(network, BackPropagation):
            is_ensemble = hasattr(network, "n_estimators") or hasattr(network, "estimators_")
            raise TypeError(
                f"{caller} trains one network, a BPClassifier or BPRegressor, also as the last step of a "
                f"pipeline; got {type(network).__name__}."
                + (" Give it the estimator that the members are made from." if is_ensemble else "")
            )
        matplotlib_for(caller)  # before the work
        copied = clone(getattr(estimator, "best_estimator_", estimator))
        recorder, own = LayerStatistics(n_rows), innermost(copied)
        own.set_callbacks(*getattr(own, "_skl_callbacks", ()), recorder)
        copied.fit(X, y, **(fit_params or {}))
        display = cls(recorder.history_)
        display.estimator_ = copied
        return display.plot(ax, **kwargs)

    @classmethod
    def from_history(cls, history: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw what a callback has recorded.

        Parameters
        ----------
        history : LayerHistory or LayerStatistics
            Of a callback the latest fit.
        ax, **kwargs
            See `plot`.

        Returns
        -------
        LayerStatisticsDisplay
        """
        return cls(history_of(history, f"{cls.__name__}.from_history")).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        statistics: str | Sequence[str] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        fill_between_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or a sequence of them, default=None
            As many as there are statistics. None makes a new figure.
        statistics : str or list of str, default=None
            Of "activations", "inactive", "gradients" and "updates". None stands for all, but for "inactive"
            where no layer can have dead units or saturated values.
        line_kw, fill_between_kw : dict, default=None
            Keyword arguments of the lines and of the bands.

        Returns
        -------
        self : LayerStatisticsDisplay
        """
        names = self._statistics(statistics)
        mpl = matplotlib_for(f"{type(self).__name__}.plot")
        axes = self._make_axes(mpl, ax, names)
        self.axes_ = dict(zip(names, axes, strict=True))
        self.lines_, self.fill_between_ = {}, []
        colours = shades_of(mpl, len(self.history.layers))
        for name, one in self.axes_.items():
            draw = getattr(self, f"_draw_{name}")
            style: dict[str, Any] = {"linewidth": 1.5}
            if len(self.history.epoch) == 1:
                style |= {"marker": "o", "markersize": 4}
            styles = [
                with_style(mpl, mpl.lines.Line2D, {**style, "color": colour}, line_kw) for colour in colours
            ]
            self.lines_[name] = draw(one, styles, fill_between_kw or {})
            one.set_title(self._title(name), fontsize="medium")
            one.set_xlabel("epoch")
            count_epochs(mpl, one)
        self._add_legend(mpl, axes, colours)
        return self

    def _statistics(self, statistics: str | Sequence[str] | None) -> list[str]:
        if statistics is None:
            return [name for name in TITLES if name != "inactive" or np.isfinite(self.history.inactive).any()]
        names = [statistics] if isinstance(statistics, str) else list(statistics)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"statistics must name each of {list(TITLES)} at most once, got {statistics!r}.")
        return [choice("statistics", name, tuple(TITLES)) for name in names]

    def _make_axes(self, mpl: SimpleNamespace, ax: Any, names: list[str]) -> list[Any]:
        if ax is not None:
            axes = list(np.ravel(np.array(ax, dtype=object)))
            if len(axes) != len(names):
                raise ValueError(
                    f"ax must be {len(names)} axes, one for each of {names}, got {len(axes)}; or choose the "
                    "statistics."
                )
            self.figure_ = axes[0].figure
            return axes
        n_columns = min(len(names), 2)
        n_rows = -(-len(names) // n_columns)
        self.figure_, grid = mpl.pyplot.subplots(
            n_rows,
            n_columns,
            squeeze=False,
            figsize=(PANEL[0] * n_columns, PANEL[1] * n_rows),
            layout="constrained",
        )
        for spare in grid.ravel()[len(names) :]:
            spare.remove()
        return list(grid.ravel()[: len(names)])

    def _title(self, name: str) -> str:
        if name != "inactive":
            return TITLES[name]
        shown = set(self.history.activations[:-1])
        dead, saturated = bool(shown & set(RECTIFIERS)), bool(shown & BOUNDS.keys())
        kinds = ["dead units"] * dead + ["saturated values"] * saturated
        return f"share of {' or '.join(kinds) or 'inactive units'}"

    def _draw_activations(self, ax: Any, styles: list[dict[str, Any]], band: Mapping[str, Any]) -> list[Any]:
        history, lines = self.history, []
        for layer, style in enumerate(styles):
            mean, std = history.activation_mean[:, layer], history.activation_std[:, layer]
            faint = min(0.15, 0.6 / len(styles))
            given = {"color": style["color"], "alpha": faint, "linewidth": 0.0, **band}
            self.fill_between_.append(ax.fill_between(history.epoch, mean - std, mean + std, **given))
            lines.extend(ax.plot(history.epoch, mean, **style))
        return lines

    def _draw_inactive(self, ax: Any, styles: list[dict[str, Any]], band: Mapping[str, Any]) -> list[Any]:
        lines: list[Any] = []
        if not np.isfinite(self.history.inactive).any():
            ax.text(0.5, 0.5, "no layer can have any", ha="center", va="center", transform=ax.transAxes)
            return [None] * len(styles)
        for layer, style in enumerate(styles):
            share = self.history.inactive[:, layer]
            if np.isnan(share).all():
                lines.append(None)
                continue
            lines.extend(ax.plot(self.history.epoch, share, **style))
        top = max(1.15 * float(np.nanmax(self.history.inactive)), 0.1)
        ax.set_ylim(-0.03 * min(top, 1.0), min(top, 1.03))
        return lines

    def _draw_gradients(self, ax: Any, styles: list[dict[str, Any]], band: Mapping[str, Any]) -> list[Any]:
        return self._draw_positive(ax, self.history.gradient_std, styles)

    def _draw_updates(self, ax: Any, styles: list[dict[str, Any]], band: Mapping[str, Any]) -> list[Any]:
        return self._draw_positive(ax, self.history.update_ratio, styles)

    def _draw_positive(self, ax: Any, values: np.ndarray, styles: list[dict[str, Any]]) -> list[Any]:
        lines: list[Any] = []
        for layer, style in enumerate(styles):
            lines.extend(ax.plot(self.history.epoch, values[:, layer], **style))
        if spans_decades(values):
            ax.set_yscale("log")
        else:
            ax.set_ylim(bottom=0.0)
        return lines

    def _add_legend(self, mpl: SimpleNamespace, axes: list[Any], colours: list[Any]) -> None:
        """One legend for all panels, on the right of the figure or in the only axes given."""
        history = self.history
        n = len(history.layers)
        shown = (
            range(n) if n <= MOST_NAMED else np.unique(np.linspace(0, n - 1, MOST_NAMED).round().astype(int))
        )
        line = mpl.lines.Line2D
        names = [f"{history.layers[at]}: {history.activations[at]}" for at in shown]
        handles = [line([], [], color=colours[at], linewidth=1.5) for at in shown]
        is_own = self.figure_.get_layout_engine() is not None and len(axes) == len(self.figure_.axes)
        if is_own and len(axes) > 1:
            self.legend_ = self.figure_.legend(handles, names, loc="outside right upper", fontsize="small")
        else:
            self.legend_ = axes[0].legend(handles, names, fontsize="small")
