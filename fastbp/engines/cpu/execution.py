"""The CPU's own record of a fit: addresses of compiled functions, and flags."""

import numpy as np

from fastbp.engines.control import new_records
from fastbp.engines.cpu import lowering
from fastbp.engines.cpu.post_step import limit_norms_address
from fastbp.functions.step import StepOptions
from fastbp.plan.network import Kind, NetworkPlan
from fastbp.plan.training import TrainingPlan

INT = np.int64
EXECUTION = np.dtype(
    [
        # Addresses; 0 where a fit needs no such function
        ("update", INT),
        ("coefficients", INT),
        ("accumulate", INT),
        ("squares", INT),
        ("schedule", INT),
        ("limit_norms", INT),
        # Flags
        ("has_noise", INT),
        ("has_average", INT),
        ("shuffles", INT),
        ("is_loaded", INT),  # whether the arena holds all rows, since the step before
    ],
    align=True,
)


def new_execution(
    network: NetworkPlan, plan: TrainingPlan, n_rows: int, pass_rows: int, n_networks: int = 1
) -> np.ndarray:
    """The execution array of networks whose plans have the `structure` of `plan`; functions are compiled."""
    options = StepOptions(
        l1=plan.l1 > 0,
        decay=plan.weight_decay > 0,
        clip=bool(np.isfinite(plan.clip_value)),
        rescale=bool(np.isfinite(plan.clip_norm)),
        factors=network.has_rate_factors,
    )
    dtype = network.dtype
    several_passes = plan.batch_size > pass_rows
    values = {
        "update": lowering.update(plan.solver, options, dtype),
        "coefficients": lowering.coefficients(plan.solver, dtype),
        "accumulate": lowering.accumulate(dtype) if several_passes else 0,
        "squares": lowering.squares(options.l1, dtype) if options.rescale else 0,
        "schedule": lowering.schedule(plan.rate_schedule) if plan.has_rate_schedule else 0,
        "limit_norms": limit_norms_address(dtype) if plan.max_norm > 0 else 0,
        "has_noise": any(op.kind == Kind.NOISE for op in network.ops),
        "has_average": plan.averages,
        # Where one batch takes all rows, their order changes nothing but rounding.
        "shuffles": plan.shuffle and plan.batch_size < n_rows,
    }
    return new_records(EXECUTION, values).repeat(n_networks)
