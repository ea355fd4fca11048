import numpy as np
import pytest
from PIL import Image

from pochade import Picture, Pipeline, Request
from pochade.errors import UsageError
from pochade.events import Made, Step, Warned
from pochade.generation.outpainting import outpainting, plan
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.request import OUTPAINT_FILLS
from tests.golden.replay import pipeline as golden

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def pipeline():
    return golden("goldsd1")


@pytest.fixture(scope="module")
def picture():
    coarse = Image.fromarray(RNG.integers(0, 255, (8, 12, 3), dtype=np.uint8))
    return coarse.resize((100, 70), Image.Resampling.BICUBIC)


def request(most=(128, 128), **fields):
    return Request(width=most[0], height=most[1], **fields)


GROWTHS = [
    ((100, 70), {"left": 30}),
    ((100, 70), {"right": 300, "up": 5, "down": 64, "left": 1}),
    ((500, 40), {"up": 200}),
    ((64, 64), {"down": 1}),
    ((300, 300), {"left": 100, "right": 100, "up": 100, "down": 100}),
]


@pytest.mark.parametrize(("size", "growth"), GROWTHS)
@pytest.mark.parametrize("most", [(128, 128), (64, 192)])
def test_every_new_pixel_is_drawn_once_and_no_other(size, growth, most):
    wanted = request(most, **growth)
    width, height = wanted.left + size[0] + wanted.right, wanted.up + size[1] + wanted.down
    times = np.zeros((height, width), dtype=int)
    times[wanted.up : wanted.up + size[1], wanted.left : wanted.left + size[0]] = 1
    for piece in plan(size, wanted):
        left, top, right, bottom = piece.new
        assert (times[top:bottom, left:right] == 0).all()
        times[top:bottom, left:right] += 1
    assert (times == 1).all()


@pytest.mark.parametrize(("size", "growth"), GROWTHS)
def test_windows_can_be_drawn_and_half_of_them_is_there(size, growth):
    wanted = request(**growth)
    for piece in plan(size, wanted):
        assert all(side % 8 == 0 and 64 <= side <= 128 for side in piece.size)
        left, top, right, bottom = piece.new
        assert piece.window[0] <= left < right <= piece.window[2]
        assert piece.window[1] <= top < bottom <= piece.window[3]
        assert min(right - left, bottom - top) <= 64


def test_a_mask_reaches_into_the_picture_by_the_seam_at_most():
    (piece,) = plan((100, 70), request(right=30))
    mask = np.asarray(piece.mask(16)).astype(int)
    edge = 100 - piece.window[0]
    assert (mask[:, edge:] == 255).all()
    assert (mask[:, : edge - 16] == 0).all()
    assert (np.diff(mask[:, edge - 16 : edge]) >= 0).all()
    assert 0 < mask[0, edge - 8] < 255
    assert (np.asarray(piece.mask(0))[:, :edge] == 0).all()


@pytest.mark.parametrize("fill", OUTPAINT_FILLS)
def test_old_pixels_stay_to_the_bit_but_for_the_seam(pipeline, picture, fill):
    grown = pipeline.outpaint(
        "a cat", picture, left=20, down=9, seam=10, outpaint_fill=fill, steps=2, seed=5, width=64, height=64
    )
    assert grown.image.size == (120, 79)
    old, new = np.asarray(picture).astype(int), np.asarray(grown.image).astype(int)[:70, 20:]
    assert np.array_equal(new[:60, 10:], old[:60, 10:])
    assert not np.array_equal(new, old)


def test_it_is_told_as_one_run(pipeline, picture):
    wanted = Request("a cat", left=20, up=20, steps=3, strength=1, seed=5, count=3, batch=2, width=128, height=128)
    events = list(pipeline.run(wanted, Inputs((picture,))))
    steps = [event for event in events if isinstance(event, Step)]
    assert [event.done for event in steps] == list(range(1, 13))
    assert {event.total for event in steps} == {12}
    drawn = [event.result for event in events if isinstance(event, Made)]
    assert [each.seed for each in drawn] == [5, 6, 7]
    assert len({each.image.tobytes() for each in drawn}) == 3


def test_each_piece_has_its_own_noise_and_variation_and_every_warning_is_told_once(picture):
    parts = []

    def draw(part, inputs):
        parts.append(part)
        yield Warned("always")
        yield Warned(f"in piece {len(parts)}")
        yield from (Made(Picture(image)) for image in inputs.images)

    wanted = request(left=20, up=20, seed=5, variation_seed=40, variation_strength=0.5)
    told = [event.message for event in outpainting(draw, wanted, Inputs((picture,))) if isinstance(event, Warned)]
    assert [(part.seed, part.variation_seed) for part in parts] == [(5, 40), (6, 41)]
    assert told == ["always", "in piece 1", "in piece 2"]


def test_a_picture_that_grew_is_redone_to_the_bit(pipeline, picture, tmp_path):
    grown = pipeline.outpaint("a cat", picture, right=20, steps=2, seed=5, width=64, height=64, count=3, batch=2)
    for one in grown:
        back = Picture.open(one.save(tmp_path / "wide.png", keep_inputs=True))
        again = [event.result for event in pipeline.run(back.request, back.inputs) if isinstance(event, Made)]
        assert again[back.index].image.tobytes() == one.image.tobytes()
    assert (back.request.right, back.request.image_hash) == (20, grown[0].request.image_hash)


def test_without_a_size_it_is_drawn_in_pieces_of_the_model_s():
    small = Pipeline.load(device="cpu", dtype="fp32")
    image = Image.new("RGB", (160, 136), "navy")
    grown = small.outpaint("a red house, night sky", image, right=70, steps=2, seed=5)
    assert (grown.request.width, grown.request.height, grown.image.size) == (128, 128, (230, 136))
    new = np.asarray(grown.image)[:, 200:]
    assert (new.std() > 1, (np.asarray(grown.image)[:, :144] == (0, 0, 128)).all()) == (True, True)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (Inputs(), "Which picture shall grow"),
        (Inputs((Image.new("RGB", (64, 64)),), mask=Image.new("L", (64, 64))), "takes no mask"),
        (Inputs((Image.new("RGB", (64, 64)), Image.new("RGB", (64, 72)))), "of different sizes"),
    ],
)
def test_what_cannot_grow_is_said(pipeline, inputs, sentence):
    with pytest.raises(UsageError, match=sentence):
        next(pipeline.run(Request("a", left=8), inputs))
