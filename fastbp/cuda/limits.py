"""What this engine lacks, refused before anything is computed."""

from fastbp.plan import Kind, NetworkPlan

KINDS: dict[Kind, str] = {}  # of ops without kernels here, and what users call them


def refuse(network: NetworkPlan) -> None:
    """ValueError for a plan that this engine cannot carry out; it names the parameter."""
    lacking = [text for kind, text in KINDS.items() if any(op.kind == kind for op in network.ops)]
    if lacking:
        raise ValueError(
            f"device='cuda' has no kernels for {', '.join(lacking)}; choose device='cpu', which has them."
        )
