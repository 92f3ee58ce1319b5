"""What the CPU keeps of a fit beside the control record: addresses of compiled functions, and flags."""

import numpy as np

from fastbp.engines.cpu import lowering
from fastbp.plan.network import Kind, NetworkPlan
from fastbp.plan.training import TrainingPlan

INT = np.int64
EXECUTION = np.dtype(
    [
        # Addresses (``lowering``); 0 where a fit needs no such function
        ("update", INT),
        ("coefficients", INT),
        ("accumulate", INT),
        ("squares", INT),
        ("schedule", INT),
        # Flags
        ("has_noise", INT),
        ("has_average", INT),
        ("shuffles", INT),
        ("is_loaded", INT),  # whether the arena holds all rows, since the step before
    ],
    align=True,
)


def new_execution(network: NetworkPlan, plan: TrainingPlan, n_rows: int, pass_rows: int) -> np.ndarray:
    """The execution array of one network; its functions are compiled."""
    extras = lowering.Extras(
        l1=plan.l1 > 0,
        decay=plan.weight_decay > 0,
        clip=bool(np.isfinite(plan.clip_value)),
        rescale=bool(np.isfinite(plan.clip_norm)),
        factors=network.has_rate_factors,
    )
    execution = np.zeros(1, EXECUTION)
    record = execution[0]
    record["update"] = lowering.update(plan.solver, extras, network.dtype)
    record["coefficients"] = lowering.coefficients(plan.solver, network.dtype)
    if plan.batch_size > pass_rows:
        record["accumulate"] = lowering.accumulate(network.dtype)
    if extras.rescale:
        record["squares"] = lowering.squares(extras.l1, network.dtype)
    if plan.has_rate_schedule:
        record["schedule"] = lowering.schedule(plan.rate_schedule)
    record["has_noise"] = any(op.kind == Kind.NOISE for op in network.ops)
    record["has_average"] = plan.averages
    # Where one batch takes all rows, their order changes nothing but rounding.
    record["shuffles"] = plan.shuffle and plan.batch_size < n_rows
    return execution
