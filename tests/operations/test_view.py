"""What names and shapes tell of a whole file: the parts that it lacks, and what its parts lack inside."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pochade.files import LazyArray, TensorInfo, Weights
from pochade.operations.findings import findings
from pochade.operations.view import View

from ..families.manifests import shapes, without


def view(tensors):
    """A file of true shapes that holds no numbers."""
    info = {name: TensorInfo("F16", shape) for name, shape in tensors.items() if not name.endswith("position_ids")}
    arrays = {name: LazyArray(each, partial(np.zeros, each.shape, np.float16)) for name, each in info.items()}
    return View(Weights(arrays), Path("a.safetensors"))


def codes(found):
    return {each.code for each in findings(found)} - {"junk"}


@pytest.mark.parametrize(
    ("name", "cut", "missing", "code"),
    [
        ("sdxl-base.ldm", "conditioner.embedders.1.", ["text-encoder-2"], "incomplete"),
        ("sdxl-base.ldm", "conditioner.embedders.0.", ["text-encoder"], "text-encoder-missing"),
        ("sdxl-base.ldm", "conditioner.", ["text-encoder"], "text-encoder-missing"),
        ("sdxl-refiner.ldm", "conditioner.", ["text-encoder"], "text-encoder-missing"),
        ("sd2-depth.ldm", "depth_model.", ["depth"], "incomplete"),
        ("unclip-l.ldm", "embedder.", ["image-encoder"], "incomplete"),
        ("sd15.ldm", "first_stage_model.", ["vae"], "vae-missing"),
        ("sd15.ldm", "model", ["unet"], "incomplete"),
    ],
)
def test_every_part_that_a_family_needs_can_be_missing(name, cut, missing, code):
    whole = shapes(name)
    assert (view(whole).missing, codes(view(whole))) == ([], set())
    found = view(without(whole, cut))
    assert (found.missing, codes(found)) == (missing, {code})


def test_a_damaged_network_is_a_problem():
    cut = without(shapes("sd15.ldm"), "model.diffusion_model.output_blocks.7.")
    (problem,) = [each for each in findings(view(cut)) if each.code == "incomplete"]
    assert problem.message == "Its unet is not whole; 1 missing or of a wrong shape: output_blocks.7."
    assert problem.why
    assert problem.fix
