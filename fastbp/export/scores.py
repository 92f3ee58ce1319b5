"""The lines around the networks of a prediction: means over members, and standard deviations."""

from collections.abc import Callable

from fastbp.export.prediction import Prediction
from fastbp.export.steps import StepWriter

Call = Callable[[int, str], None]  # writes the lines that put the outputs of a member into an array


def write_scores(writer: StepWriter, prediction: Prediction, call: Call, out: str = "out") -> None:
    """Write the scores or values: those of one member, or the mean over several."""
    n, members = prediction.n_outputs, prediction.members
    if len(members) == 1 and members[0].n_outputs == n:
        call(0, out)
        return
    writer.array("one", members[0].n_outputs)
    writer.array("totals", n)
    with writer.loop("j", "0", str(n)):
        writer.put("totals[j]", writer.number(0.0))
    for number in range(len(members)):
        call(number, "one")
        with writer.loop("j", "0", str(n)):
            writer.put("totals[j]", "one[j]", "+=")
    with writer.loop("j", "0", str(n)):
        writer.put(f"{out}[j]", f"totals[j] / {writer.number(len(members))}")


def write_means_and_stds(
    writer: StepWriter, prediction: Prediction, call: Call, mean: str = "mean[j]", std: str = "std[j]"
) -> None:
    """Write means and standard deviations: those of the mixture of several members.

    Parameters
    ----------
    mean, std : str
        The places of the j-th ones.
    """
    n, members = prediction.n_outputs, prediction.members
    width, count = members[0].n_outputs, writer.number(len(members))
    for number in range(len(members)):
        writer.array(f"of{number}", width)
        call(number, f"of{number}")
    with writer.loop("j", "0", str(n)):
        writer.name("sum0", writer.number(0.0), changes=True)
        writer.name("squares", writer.number(0.0), changes=True)
        for number in range(len(members)):
            writer.put("sum0", f"of{number}[j]", "+=")
        writer.name("middle", f"sum0 / {count}")
        for number in range(len(members)):
            if len(members) > 1:
                writer.put("squares", f"(of{number}[j] - middle) * (of{number}[j] - middle)", "+=")
            if prediction.n_means is not None:
                writer.put("squares", f"of{number}[{n} + j] * of{number}[{n} + j]", "+=")
        writer.put(mean, "middle")
        writer.put(std, writer.function("sqrt", f"squares / {count}"))


def has_std(prediction: Prediction) -> bool:
    """Whether the values have standard deviations, by the networks or between members."""
    of_members = prediction.choice is None and len(prediction.members) > 1
    return prediction.n_means is not None or of_members
