"""What all tests share: hypothesis draws the same examples in every run; rules broken by hand."""

import gc
from contextlib import ExitStack

import pytest
from hypothesis import settings

from symcost import stages
from tests.mistakes import changed_rule

settings.register_profile("symcost", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("symcost")


def pytest_collection_finish():
    """Packages and cases stay until the end, so the collector of garbage leaves them out."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def _layers_of_what_is_patched(request):
    """Layers are shared by models; what is patched in a test is in those that it makes, only."""
    patches = "monkeypatch" in request.fixturenames
    if patches:
        stages._graph.cache_clear()
    yield
    if patches:
        stages._graph.cache_clear()


@pytest.fixture
def change_rule():
    """Replaces the rule of an operator by one that is changed, until the test ends."""
    with ExitStack() as changes:
        yield lambda operator, change: changes.enter_context(changed_rule(operator, change))
