"""The lines that a search prints about an evaluation, in scikit-learn's words."""

from typing import Any

from joblib.logger import short_format_time

from fastbp.model_selection.evaluation import Evaluation

WIDTH = 80


def report_start(evaluation: Evaluation) -> None:
    """Print that an evaluation starts, if `verbose` > 9."""
    if evaluation.arguments["verbose"] > 9:
        line = f"[CV{_progress(evaluation)}] START {_parameters(evaluation)}"
        print(f"{line}{(WIDTH - len(line)) * '.'}")


def report_end(evaluation: Evaluation, test_scores: Any, train_scores: Any) -> None:
    """Print that an evaluation ended, if `verbose` > 1; `train_scores` may be None."""
    verbose = evaluation.arguments["verbose"]
    if verbose <= 1:
        return
    about = _parameters(evaluation)
    about += ";" if about else ""
    if verbose > 2:
        if isinstance(test_scores, dict):
            for name in sorted(test_scores):
                train = "" if train_scores is None else f"train={train_scores[name]:.3f}, "
                about += f" {name}: ({train}test={test_scores[name]:.3f})"
        elif train_scores is None:
            about += f", score={test_scores:.3f}"
        else:
            about += f", score=(train={train_scores:.3f}, test={test_scores:.3f})"
    about += f" total time={short_format_time(evaluation.fit_time + evaluation.score_time)}"
    start = f"[CV{_progress(evaluation)}] END "
    print(start + "." * (WIDTH - len(start) - len(about)) + about)


def _progress(evaluation: Evaluation) -> str:
    verbose = evaluation.arguments["verbose"]
    split, candidate = (evaluation.arguments.get(f"{kind}_progress") for kind in ("split", "candidate"))
    text = ""
    if verbose > 2 and split is not None:
        text = f" {split[0] + 1}/{split[1]}"
    if verbose > 9 and candidate:
        text += f"; {candidate[0] + 1}/{candidate[1]}"
    return text


def _parameters(evaluation: Evaluation) -> str:
    given = evaluation.arguments.get("parameters") or {}
    return ", ".join(f"{name}={given[name]}" for name in sorted(given))
