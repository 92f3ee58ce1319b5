"""What this engine lacks, refused before anything is computed."""

import numpy as np

from fastbp.plan import Kind, NetworkPlan
from fastbp.training_plan import TrainingPlan

KINDS: dict[Kind, str] = {}  # of ops without kernels here, and what users call them


def refuse(network: NetworkPlan, training: TrainingPlan | None = None) -> None:
    """ValueError for a plan that this engine cannot carry out; it names the parameter."""
    lacking = [text for kind, text in KINDS.items() if any(op.kind == kind for op in network.ops)]
    if training is not None:
        if np.isfinite(training.clip_norm):
            lacking.append("clip_norm")
        if training.max_norm > 0:
            lacking.append("max_norm")
    if lacking:
        raise ValueError(
            f"device='cuda' has no kernels for {', '.join(lacking)}; choose device='cpu', which has them."
        )
