"""Types of what users give: Python's numbers and NumPy's alike."""

from collections.abc import Callable
from typing import Any

import numpy as np

Real = float | np.floating | np.integer  # float: int, too
Count = int | np.integer
Flag = bool | np.bool_
PerLayer = list | tuple
RandomState = int | np.integer | np.random.RandomState | None
Scoring = str | Callable[..., Any] | None
