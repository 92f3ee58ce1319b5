"""What this engine lacks, refused before anything is computed."""

from fastbp.plan.network import Kind, NetworkPlan

KINDS = {
    Kind.PARAMETRIC: "input_scaling, learn_input_scales, parametric_activation and norm",
    Kind.GROUP: "activation='maxout'",
}


def refuse(network: NetworkPlan) -> None:
    """ValueError for a plan that this engine cannot carry out; it names the parameter."""
    lacking = [text for kind, text in KINDS.items() if any(op.kind == kind for op in network.ops)]
    if lacking:
        raise ValueError(
            f"device='cuda' has no kernels for {', '.join(lacking)}; choose device='cpu', which has them."
        )
