"""What is said about the samples of several processes: a list a process, of the times of its rounds.

A process may be slow from its first fit to its last, because of where its stack and its code happen to lie.
So a process counts once, with the median of its rounds, however many they are.
"""

import statistics
from collections.abc import Sequence

Samples = Sequence[Sequence[float]]


def typical(samples: Samples) -> float:
    """Return the median over the processes."""
    return statistics.median(map(statistics.median, samples))


def slowest(samples: Samples) -> float:
    """Return the slowest process, by the median of its own rounds."""
    return max(map(statistics.median, samples))


def ratio(samples: Samples, reference: Samples) -> float:
    """Return how many times the reference's time this is: ratios within a round, then the median as above."""
    pairs = zip(samples, reference, strict=True)
    return typical([[t / r for t, r in zip(times, others, strict=True)] for times, others in pairs])
