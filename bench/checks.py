"""Are the peers doing the same job? Every answer is compared before a time is reported."""

import numpy as np

# The greatest distance between two peers' weights, as a share of the way that training moved them, and
# between their losses, relative. In float64 the peers agree to 1e-14. In float32 a relu unit that rounding
# turns on in one of them shows, scaled up by Adam's first steps; a wrong formula shows more.
TOLERANCE = {"float32": 1e-1, "float64": 1e-6}
LOSS_TOLERANCE = {"float32": 1e-3, "float64": 1e-8}


CHECKED_STEPS = 100  # rounding grows from step to step


def checked_epochs(workload) -> int:
    return max(1, min(workload.epochs, CHECKED_STEPS // workload.steps))


def mismatches(workload, dtype: str, answers: dict[str, dict]) -> dict[str, list[str]]:
    """Compare each peer's answer with the first peer's; return what is wrong, by peer.

    The losses are computed here, from the weights that the peers return; a peer's own predictions must follow
    from its weights, and the losses that peers report themselves must agree where they are the same quantity.
    """
    X, y = workload.data(np.dtype(dtype))
    start = _flat(*workload.initial_weights(np.float64))
    reference, *others = answers
    expected = _flat(answers[reference]["coefs"], answers[reference]["intercepts"])
    loss = {p: workload.loss(a["coefs"], a["intercepts"], X, y) for p, a in answers.items()}
    way = np.linalg.norm(expected - start)
    faults = {p: _prediction_faults(workload, dtype, a, X[:256]) for p, a in answers.items()}
    if not (np.isfinite(way) and way > 0):
        faults[reference].append(f"training moved the weights by {way}")
    for peer in others:
        answer = answers[peer]
        found = _flat(answer["coefs"], answer["intercepts"])
        distance = np.linalg.norm(found - expected) / way
        if not distance <= TOLERANCE[dtype]:
            faults[peer].append(
                f"weights end {distance:.2g} of the way off {reference}'s, over {TOLERANCE[dtype]:g}"
            )
        if not abs(loss[peer] - loss[reference]) <= LOSS_TOLERANCE[dtype] * abs(loss[reference]):
            faults[peer].append(f"loss {loss[peer]:.8g} against {reference}'s {loss[reference]:.8g}")
        mine, theirs = answer["objective"], answers[reference]["objective"]
        if mine is None or theirs is None:
            continue
        if not abs(mine - theirs) <= LOSS_TOLERANCE[dtype] * abs(theirs):
            faults[peer].append(f"reports the loss {mine:.8g}, {reference} {theirs:.8g}")
    return {peer: found for peer, found in faults.items() if found}


def _prediction_faults(workload, dtype, answer, X) -> list[str]:
    outputs = workload.forward(answer["coefs"], answer["intercepts"], X)
    predictions = np.asarray(answer["predictions"])
    slack = 1e-3 if dtype == "float32" else 1e-8
    if workload.kind == "values":
        if np.abs(predictions - outputs[:, 0]).max() > slack * (1 + np.abs(outputs).max()):
            return ["predicts other values than its weights give"]
    elif np.any(outputs.max(axis=1) - outputs[np.arange(len(X)), predictions] > slack):
        return ["predicts other classes than its weights give"]
    return []


def _flat(coefs, intercepts):
    return np.concatenate([np.ravel(a).astype(np.float64) for a in (*coefs, *intercepts)])
