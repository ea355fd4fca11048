"""Small special checkpoints, loaded once."""

import pytest

from pochade import Pipeline
from tests.generation.special import special


@pytest.fixture(scope="session")
def special_models(tmp_path_factory):
    """Each special kind by its name, as a pipeline; made on first use."""
    root, loaded = tmp_path_factory.mktemp("special"), {}

    def model(name):
        if name not in loaded:
            loaded[name] = Pipeline.load(special(root, name), device="cpu", dtype="fp32")
        return loaded[name]

    return model
