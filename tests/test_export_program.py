"""The list of steps that exports are written from, run by NumPy, against the networks themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastbp import BPClassifier, BPRegressor
from fastbp.export.program import Program, program_of
from fastbp.plan.network import Kind


def run(program: Program, X: np.ndarray) -> np.ndarray:
    """The outputs for rows X, by the formulas of one number or one row at a time."""
    outputs = []
    for row in X:
        buffers = {0: list(row)}
        for step in program.steps:
            z = buffers[step.source]
            if step.kind == Kind.DENSE:
                a = list(np.asarray(z) @ step.weights + (0 if step.bias is None else step.bias))
            elif step.kind == Kind.ADD:
                a = [x + y for x, y in zip(z, buffers[step.other], strict=True)]
            elif step.kind == Kind.ELEMENTWISE:
                a = [step.function.value(x) for x in z]
            elif step.kind == Kind.PARAMETRIC:
                p, q = step.parameters[0], step.parameters[-1]
                a = [step.function.value(x, *pq) for x, *pq in zip(z, p, q, strict=True)]
            elif step.kind == Kind.GROUP:
                k = step.n_in // step.n_out
                a = [step.function.value(z[i : i + k], k) for i in range(0, step.n_in, k)]
            else:
                a = list(z)
                step.function.value(a, len(a))
            assert len(a) == step.n_out == program.widths[step.target]
            buffers[step.target] = a
        outputs.append(buffers[program.output])
    return np.array(outputs)


NETWORKS = {
    "plain": {"hidden_layer_sizes": (6, 5)},
    "linear": {"hidden_layer_sizes": ()},
    "layers": {"hidden_layer_sizes": (6, 5), "activation": ["gelu", "tanh"], "fit_intercept": False},
    "noise": {"hidden_layer_sizes": (6, 6), "dropout": 0.3, "input_dropout": 0.2, "residual": True},
    "maxout": {"hidden_layer_sizes": (6, 6), "activation": "maxout", "maxout_pieces": 3, "residual": True},
    "batch norm": {"hidden_layer_sizes": (6, 6), "norm": "batch", "input_noise": 0.1},
    "layer norm": {"hidden_layer_sizes": (6, 6), "norm": "layer", "parametric_activation": True},
    "scales": {"hidden_layer_sizes": (6,), "input_scaling": "robust", "learn_input_scales": True},
}


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_steps_are_the_network(params):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(60, 4)), rng.randint(0, 3, 60)
    model = BPClassifier(**params, max_iter=3, random_state=0).fit(X, y)
    network, vector = model._network()
    assert_allclose(run(program_of(network, vector), X[:7]), model.predict_proba(X[:7]), rtol=1e-9)
    logits = run(program_of(network, vector, raw=True), X[:7])
    assert_allclose(np.log(model.predict_proba(X[:7])), logits - np.log(np.exp(logits).sum(1))[:, None])


def test_several_quantiles():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 4))
    params = {"loss": "pinball", "loss_params": {"quantile": [0.1, 0.9]}, "max_iter": 3, "random_state": 0}
    model = BPRegressor((5,), **params).fit(X, X[:, 0])
    program = program_of(*model._network())
    assert_allclose(run(program, X[:7]), model.predict(X[:7]), rtol=1e-9)
    assert program.n_parameters == sum(map(np.size, [*model.coefs_, *model.intercepts_]))
