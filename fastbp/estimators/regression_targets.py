"""The targets of a regressor."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp.estimators.options import REGRESSOR, Options
from fastbp.estimators.precision import too_large
from fastbp.estimators.scaling import (
    check_first_block,
    completed_standard_scales,
    n_rows_that_count,
    standard_scales,
)
from fastbp.estimators.targets import Targets
from fastbp.functions.loss_lookup import default_output
from fastbp.functions.losses import LOSSES
from fastbp.plan.network import NetworkPlan
from fastbp.presets import takes_scaled_targets
from fastbp.training.metrics import d2_pinball, r_squared

Scales = tuple[np.ndarray, ...]  # mean, scale and range of each target


@dataclass(frozen=True)
class RegressionTargets(Targets):
    """Values, normal distributions of values, or several quantiles of one value."""

    options: Options
    out_activation: str
    n_outputs: int
    scales: Scales | None = None

    @classmethod
    def learn(
        cls, options: Options, y: np.ndarray, n_outputs_before: int | None = None
    ) -> "RegressionTargets":
        """Return the targets of a fit on `y`; `n_outputs_before` counts the outputs of resumed weights."""
        levels, out = quantiles(options), options.out_activation
        if out == "auto":
            out = default_output(options.loss, task=REGRESSOR, several=bool(levels))
        entry = options.loss_entry(out)
        if levels and not entry.one_target:
            raise ValueError(
                f"Several quantiles need out_activation='increasing', got "
                f"out_activation={options.out_activation!r}: then they never cross."
            )
        if entry.one_target and (not levels or y.shape[1] != 1):
            raise ValueError(
                f"out_activation='increasing' with loss='pinball' needs several quantiles of one target; got "
                f"{len(levels) or 'one'} of {y.shape[1]}."
            )
        n_outputs = len(levels) or y.shape[1] * entry.outputs_per_target
        if n_outputs_before is not None and n_outputs != n_outputs_before:
            asked = f"loss_params has {n_outputs} quantiles" if levels else f"y has {y.shape[1]} targets"
            if entry.outputs_per_target > 1:
                asked = f"y asks for {n_outputs} outputs with loss={options.loss!r}"
            raise ValueError(f"{asked}, but the regressor was fitted on {n_outputs_before}.")
        return cls(options, out, n_outputs)

    @property
    def are_scaled(self) -> bool:
        """True if the network is trained on standardised targets."""
        return self.options.target_scaling is not None or self.loss.normal is not None

    @property
    def scaled_by(self) -> str:
        """The parameter that says whether targets are scaled, with its value, for messages."""
        options = self.options
        if options.target_scaling is None and self.loss.normal is not None:
            return f"loss={options.loss!r}, which scales the targets,"
        return f"target_scaling={options.target_scaling!r}{options.set_by('target_scaling')}"

    def check_scaling(self) -> None:
        """Raise ValueError if targets cannot be scaled."""
        options = self.options
        if not takes_scaled_targets(options.loss, self.out_activation):
            raise ValueError(
                f"target_scaling={options.target_scaling!r} needs a loss and an output activation for all "
                f"real numbers, got loss={options.loss!r} and out_activation={self.out_activation!r}."
            )

    def new_scales(
        self, y: np.ndarray, sample_weight: np.ndarray | None, known: Scales | None, incremental: bool
    ) -> Scales:
        """Return the scales of a fit on `y`; `known` are the scales of the fit that it resumes."""
        if known is not None:
            if len(known[0]) != y.shape[1]:
                raise ValueError(
                    f"y has {y.shape[1]} targets, but the regressor was fitted on {len(known[0])}."
                )
            return completed_standard_scales(known, y, sample_weight)
        scales = standard_scales(y, sample_weight)
        if incremental:
            n_rows = n_rows_that_count(y, sample_weight)
            check_first_block(scales[2][0] < scales[2][1], n_rows, self.scaled_by, "target")
        return scales

    @property
    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {"out_activation_": self.out_activation, "n_outputs_": self.n_outputs}
        if self.scales is not None:
            found |= zip(("target_mean_", "target_scale_", "target_range_"), self.scales, strict=True)
        return found

    def check(self, y: np.ndarray) -> None:
        self.learn(self.options, y, self.n_outputs)

    def encoding(self, network: NetworkPlan) -> Hashable:
        scales = None if self.scales is None else tuple(values.tobytes() for values in self.scales[:2])
        return self.options.loss, self.out_activation, scales, network.dtype

    def encode(self, y: np.ndarray, network: NetworkPlan) -> np.ndarray:
        targets = np.ascontiguousarray(y, dtype=network.dtype)
        finite = np.isfinite(targets).all()
        if self.scales is not None:
            mean, scale, _ = self.scales
            targets = np.ascontiguousarray((y.astype(np.float64) - mean) / scale, dtype=network.dtype)
        if not (finite and np.isfinite(targets).all()):
            raise too_large("y", network.dtype)
        entry = self.loss
        if not entry.domain.holds(targets):
            raise ValueError(f"loss={self.options.loss!r} of a regressor needs {entry.domain.text}.")
        return targets

    def score(self, outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
        if levels := quantiles(self.options):
            return d2_pinball(targets[:, 0], outputs, levels, weight)
        return r_squared(outputs[:, : targets.shape[1]], targets, weight)


def quantiles(options: Options) -> tuple[float, ...]:
    """Levels of several quantiles of one target; empty otherwise."""
    given = LOSSES["pinball"].constants(options.loss_params or {}) if options.loss == "pinball" else ()
    return given if len(given) > 1 else ()
