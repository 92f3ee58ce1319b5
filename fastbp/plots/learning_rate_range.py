"""Picture of the range test of learning rates."""

from collections.abc import Mapping
from typing import Any, Self

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from fastbp.ensembles.base import Ensemble
from fastbp.estimators import learning_rate_range as test
from fastbp.estimators import type_hints
from fastbp.estimators.learning_rate_range import LearningRateRange, learning_rate_range
from fastbp.estimators.mlp import BackPropagation
from fastbp.plots.drawing import COLOURS, GREY, matplotlib_for, spans_decades, with_style


class LearningRateRangeDisplay:
    """Loss against learning rate in the range test, with the suggested rate.

    Make one with `from_estimator`, which runs the test, or with `from_results`.

    Parameters
    ----------
    result : LearningRateRange
        Of `fastbp.learning_rate_range`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    loss_line_ : Line2D
        Losses of the batches.
    line_ : Line2D
        Smoothed losses.
    suggestion_line_ : Line2D or None
        Vertical line at the suggestion; None if there is none.
    legend_ : Legend

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.plots import LearningRateRangeDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> network = BPClassifier((20,), batch_size=30, random_state=0)
    >>> display = LearningRateRangeDisplay.from_estimator(network, X, y)
    >>> bool(display.suggestion_line_.get_xdata()[0] == display.result.suggestion)
    True
    """

    def __init__(self, result: LearningRateRange) -> None:
        self.result = result

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        smallest: type_hints.Real = 1e-6,
        largest: type_hints.Real = 10.0,
        n_steps: type_hints.Count = 100,
        sample_weight: Any = None,
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        loss_kw: Mapping[str, Any] | None = None,
        suggestion_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Run the range test and draw it.

        Parameters
        ----------
        estimator : BPClassifier or BPRegressor
            Not changed, and need not be fitted. Of a pipeline, copies of the steps before the network are
            fitted on X; of an ensemble, one member is tested.
        X, y
            As for its `fit`.
        smallest, largest, n_steps, sample_weight
            See `fastbp.learning_rate_range`.
        ax, line_kw, loss_kw, suggestion_kw
            See `plot`.

        Returns
        -------
        LearningRateRangeDisplay
        """
        matplotlib_for(f"{cls.__name__}.from_estimator")  # before the work
        network, X = _network_and_rows(estimator, X, y, f"{cls.__name__}.from_estimator")
        result = learning_rate_range(
            network,
            X,
            y,
            smallest=smallest,
            largest=largest,
            n_steps=n_steps,
            sample_weight=sample_weight,
        )
        return cls(result).plot(ax, line_kw=line_kw, loss_kw=loss_kw, suggestion_kw=suggestion_kw)

    @classmethod
    def from_results(cls, result: LearningRateRange, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the result of `fastbp.learning_rate_range`.

        Parameters
        ----------
        result : LearningRateRange
        ax, **kwargs
            See `plot`.

        Returns
        -------
        LearningRateRangeDisplay
        """
        if not isinstance(result, LearningRateRange):
            raise TypeError(
                f"{cls.__name__}.from_results needs the result of fastbp.learning_rate_range, got "
                f"{type(result).__name__}."
            )
        return cls(result).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        line_kw: Mapping[str, Any] | None = None,
        loss_kw: Mapping[str, Any] | None = None,
        suggestion_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kw, loss_kw, suggestion_kw : dict, default=None
            Keyword arguments of the smoothed curve, of the batches' losses and of the suggestion's line.

        Returns
        -------
        self : LearningRateRangeDisplay
        """
        mpl = matplotlib_for(f"{type(self).__name__}.plot")
        if ax is None:
            _, ax = mpl.pyplot.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        result, line = self.result, mpl.lines.Line2D
        dots = {"marker": ".", "linestyle": "none", "color": GREY, "alpha": 0.5, "label": "loss of a batch"}
        (self.loss_line_,) = ax.plot(result.rates, result.losses, **with_style(mpl, line, dots, loss_kw))
        smooth = {"color": COLOURS[0], "linewidth": 2.0, "label": "smoothed"}
        (self.line_,) = ax.plot(result.rates, result.smoothed, **with_style(mpl, line, smooth, line_kw))
        ax.set_xscale("log")
        self._limit_losses(ax)
        self.suggestion_line_ = None
        if result.suggestion is not None:
            style = {"color": COLOURS[1], "linestyle": "--", "label": f"suggestion: {result.suggestion:.2g}"}
            style = with_style(mpl, line, style, suggestion_kw)
            self.suggestion_line_ = ax.axvline(result.suggestion, **style)
        else:
            ax.plot([], [], linestyle="none", label="no suggestion: the loss hardly falls")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        self.legend_ = ax.legend(fontsize="small")
        return self

    def _limit_losses(self, ax: Any) -> None:
        """Leave out losses of divergence, beside which the rest would be a flat line."""
        losses, smoothed = self.result.losses, self.result.smoothed
        n_first = max(len(losses) // test.PARTS, 1)
        cap = 2.0 * float(losses[:n_first].mean())  # as the smoothed curve is capped
        shown = losses[losses <= cap] if (losses <= cap).any() else losses
        low, high = min(shown.min(), smoothed.min()), max(shown.max(), smoothed.max())
        if spans_decades([low, high]):
            ax.set_yscale("log")
            margin = (high / low) ** 0.05
            ax.set_ylim(low / margin, high * margin)
        else:
            margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
            ax.set_ylim(low - margin, high + margin)


def _network_and_rows(estimator: Any, X: Any, y: Any, caller: str) -> tuple[Any, Any]:
    """Return the network to test, and its inputs."""
    network = estimator
    if isinstance(estimator, Pipeline):
        network = estimator.steps[-1][1]
        if len(estimator.steps) > 1:
            X = clone(estimator[:-1]).fit_transform(X, y)
    if isinstance(network, Ensemble):
        network = network._template()
    if not isinstance(network, BackPropagation):
        raise TypeError(
            f"{caller} tests a BPClassifier or BPRegressor, also as the last step of a pipeline or in an "
            f"ensemble; got {type(network).__name__}."
        )
    return network, X
