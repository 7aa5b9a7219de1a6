"""What all tests share: hypothesis draws the same examples in every run."""

from hypothesis import settings

settings.register_profile("symcost", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("symcost")
