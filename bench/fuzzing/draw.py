"""The random numbers that a case is drawn with."""

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw(random.Random):
    """Draws that depend on a seed and the number of the case alone, in every process alike."""

    def __init__(self, seed: int, number: int) -> None:
        super().__init__(f"{seed} {number}")

    def __new__(cls, seed: int, number: int) -> "Draw":
        return super().__new__(cls)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, values: Sequence[T]) -> T:
        return values[self.randrange(len(values))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """A key, as often as its value says."""
        return self.choices(list(weights), list(weights.values()))[0]

    def state(self) -> str:
        """The text of a seeded generator, for the numbers within an array."""
        return f"np.random.RandomState({self.randrange(1000)})"
