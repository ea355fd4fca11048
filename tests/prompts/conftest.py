"""Generated examples are not timed one by one: the first ones pay for imports, and machines are busy."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
