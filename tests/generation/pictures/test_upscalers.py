"""Upscalers by name: resampling, and networks that are applied until a picture is large enough."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pochade import files
from pochade.errors import MalformedFileError, MissingFileError, NumericalError, UnknownNameError, UsageError
from pochade.generation.pictures.tiles import Tiles
from pochade.generation.pictures.upscalers import NAMES, ModelUpscaler, Resampler, passes_for, upscaler_named
from pochade.networks import array_of, fresh
from pochade.networks.upscalers import Compact, compact_shapes


class Repeating(nn.Module):
    """A network that repeats pixels and remembers the pictures it saw."""

    def __init__(self, scale):
        super().__init__()
        self.scale, self.channels, self.seen = scale, 3, []
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        self.seen.append(x)
        return x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


class Overflowing(Repeating):
    """One whose numbers are too large for half precision, or for any."""

    def __init__(self, dtype, always=False):
        super().__init__(2)
        self.always = always
        self.to(dtype)

    def forward(self, x):
        too_large = self.always or self.weight.dtype != torch.float32
        return super().forward(x) * (torch.inf if too_large else 1)


def colours(height=6, width=9):
    return Image.fromarray(np.random.default_rng(2).integers(1, 256, (height, width, 3), dtype=np.uint8))


def transparent():
    image = colours()
    image.putalpha(colours().convert("L"))
    return image


def run(upscaler, image, size, tiles=None):
    """The picture, and the steps on the way."""
    work = upscaler.enlarge(image, size, tiles or Tiles())
    steps = []
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return end.value, steps


@pytest.mark.parametrize(("name", "filter"), [("None", "LANCZOS"), ("lanczos", "LANCZOS"), ("NEAREST", "NEAREST")])
def test_plain_upscalers_by_name(name, filter):
    upscaler = upscaler_named(name)
    assert upscaler.name in NAMES
    for image in (colours(), transparent()):
        assert run(upscaler, image, (20, 11)) == (image.resize((20, 11), Image.Resampling[filter]), [])


@pytest.mark.parametrize(
    ("size", "target", "scale", "passes"),
    [
        ((64, 64), (128, 128), 2, 1),
        ((64, 64), (129, 128), 2, 2),
        ((64, 64), (96, 64), 4, 1),
        ((64, 64), (256, 256), 4, 1),
        ((64, 64), (257, 256), 4, 2),
        ((64, 64), (6400, 6400), 4, 3),
        ((64, 64), (64, 64), 4, 1),  # for what it mends
        ((64, 64), (63, 63), 4, 0),
        ((64, 64), (256, 256), 1, 1),
        ((64, 64), (32, 32), 1, 0),
        ((101, 67), (404, 268), 4, 1),
    ],
)
def test_how_often_a_network_is_applied(size, target, scale, passes):
    assert passes_for(size, target, scale) == passes


def test_a_network_is_applied_until_the_size_is_reached_and_lanczos_does_the_rest():
    network = Repeating(2)
    picture, steps = run(ModelUpscaler("x2", network), colours(), (40, 30))
    assert [tuple(each.shape[2:]) for each in network.seen] == [(6, 9), (12, 18), (24, 36)]
    assert picture == colours().resize((72, 48), Image.Resampling.NEAREST).resize((40, 30), Image.Resampling.LANCZOS)
    assert [(step.done, step.total, step.what) for step in steps] == [(1, 3, "tiles"), (2, 3, "tiles"), (3, 3, "tiles")]


def test_red_comes_first_and_colours_lie_between_0_and_1():
    network = Repeating(2)
    run(ModelUpscaler("x2", network), Image.new("RGB", (4, 4), (255, 51, 0)), (8, 8))
    assert network.seen[0][0, :, 0, 0].tolist() == pytest.approx([1, 0.2, 0])


def test_tiles_are_counted_over_all_passes():
    network = Repeating(2)
    picture, steps = run(ModelUpscaler("x2", network), colours(20, 30), (120, 80), Tiles(16, 4))
    assert picture == colours(20, 30).resize((120, 80), Image.Resampling.NEAREST)
    assert [step.done for step in steps] == list(range(1, 2 * 3 + 3 * 5 + 1))
    assert {step.total for step in steps} == {21}
    assert {tuple(each.shape) for each in network.seen} == {(1, 3, 16, 16)}


def test_transparency_goes_through_the_network_too():
    network = Repeating(2)
    picture, steps = run(ModelUpscaler("x2", network), transparent(), (18, 12))
    assert picture.mode == "RGBA"
    assert picture.tobytes() == transparent().resize((18, 12), Image.Resampling.NEAREST).tobytes()
    assert [step.total for step in steps] == [2, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_overflows_in_half_precision_is_done_in_full(dtype):
    network = Overflowing(dtype)
    picture, _ = run(ModelUpscaler("x2", network), colours(), (18, 12))
    assert picture == colours().resize((18, 12), Image.Resampling.NEAREST)
    assert network.weight.dtype == torch.float32


def test_what_overflows_always_is_told():
    with pytest.raises(NumericalError, match="The upscaler x2 gave NaN or infinity"):
        run(ModelUpscaler("x2", Overflowing(torch.float32, always=True)), colours(), (18, 12))


def test_a_picture_too_large_on_the_way_is_refused():
    with pytest.raises(UsageError, match="A picture of 64000x32000 would be made"):
        run(ModelUpscaler("x8", Repeating(8)), Image.new("RGB", (1000, 500)), (9000, 4500))


def test_a_model_file_is_named_by_its_path(tmp_path):
    network = fresh(Compact, compact_shapes(8, 1, 2), 4)
    path = files.save(tmp_path / "tiny-x2.safetensors", {n: array_of(each) for n, each in network.state_dict().items()})
    upscaler = upscaler_named(str(path), "cpu", "fp32")
    picture, _ = run(upscaler, colours(), (18, 12))
    x = torch.from_numpy(np.asarray(colours()).copy()).permute(2, 0, 1)[None] / 255
    expected = (network(x)[0].detach().clamp(0, 1) * 255).round().permute(1, 2, 0)
    assert (upscaler.name, upscaler.network.scale) == ("tiny-x2", 2)
    assert np.abs(np.asarray(picture).astype(int) - expected.numpy()).max() <= 1
    assert next(upscaler_named(str(path), "cpu", "bf16").network.parameters()).dtype == torch.bfloat16


def test_tiled_by_a_network_it_is_the_same_away_from_seams():
    network = fresh(Compact, compact_shapes(8, 1, 2), 4).eval().requires_grad_(False)
    upscaler, tiles = ModelUpscaler("x2", network), Tiles(24, 8)  # it sees three pixels far
    whole, tiled = (
        np.asarray(run(upscaler, colours(50, 70), (140, 100), each)[0]).astype(int) for each in (Tiles(0), tiles)
    )
    seam = np.zeros((100, 140), bool)
    for at, length in ((0, 50), (1, 70)):
        for span in tiles.spans(length)[1:]:
            seam.swapaxes(0, at)[2 * span.start : 2 * span.start + 16] = True
    assert 0.3 < seam.mean() < 0.8
    assert np.abs(tiled - whole)[~seam].max() <= 1
    assert np.abs(tiled - whole).mean() < 4


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(UnknownNameError, match="no upscaler named 'Lanzcos'; did you mean Lanczos"):
        upscaler_named("Lanzcos")
    for name in ("models/x4", "x4.pth"):
        with pytest.raises(MissingFileError, match="no such upscaler file"):
            upscaler_named(name)
    (tmp_path / "x.pth").write_text("no")
    with pytest.raises(MalformedFileError):
        upscaler_named(str(tmp_path / "x.pth"))
    with pytest.raises(UsageError, match="fp16"):
        path = files.save(tmp_path / "a.safetensors", {"x": np.zeros(3, np.float32)})
        upscaler_named(str(path), "cpu", "fp16")


def test_resamplers_need_no_device():
    assert upscaler_named("Nearest", "cuda", "fp16") == Resampler("Nearest")
