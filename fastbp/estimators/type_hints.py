"""Types of user arguments: Python and NumPy numbers alike."""

from collections.abc import Callable
from typing import Any

import numpy as np

Real = float | np.floating | np.integer  # float includes int
Count = int | np.integer
Flag = bool | np.bool_
PerLayer = list | tuple
RandomState = int | np.integer | np.random.RandomState | None
Scoring = str | Callable[..., Any] | None
