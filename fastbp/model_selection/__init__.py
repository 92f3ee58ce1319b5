"""scikit-learn's searches, which train all candidates on all folds as one job.

Each class has the parameters, attributes and scores of its namesake in ``sklearn.model_selection``. For an
estimator of fastbp, alone or as the last step of a pipeline, the rows of a fold are validated once, the steps
before the network are fitted once for each fold and each setting of their own parameters, and the networks
are trained together. Anything else is searched by scikit-learn's own code.
"""

from fastbp.model_selection.searches import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)

__all__ = ["GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "RandomizedSearchCV"]
