"""Settings of the whole suite."""

import pytest


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "last: looks back on what the whole session has done, so it runs at the end"
    )


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture
def global_random_seed():
    """What scikit-learn's own tests ask for; they run with 42 unless told otherwise, and so they do here."""
    return 42
