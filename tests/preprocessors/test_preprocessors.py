"""Each preprocessor makes of a picture what its ControlNet wants; what cannot be made is told in one sentence."""

import inspect

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pochade.errors import UnknownNameError, UsageError
from pochade.preprocessors import ALIASES, PREPROCESSORS, absent, canonical, learned, options_of, preprocess

NEED_MORE = {"inpaint_only", "inpaint_global_harmonious", *learned.NETWORKS}


@pytest.fixture(scope="module")
def picture():
    """A light sheet with a dark line and a coloured square, 96 x 64."""
    image = Image.new("RGB", (96, 64), (230, 220, 210))
    draw = ImageDraw.Draw(image)
    draw.line((10, 5, 10, 58), (20, 20, 30), width=2)
    draw.rectangle((40, 16, 79, 47), (200, 40, 60))
    return np.array(image)


@pytest.fixture(scope="module")
def slope():
    """A depth map that comes nearer from left to right."""
    return np.repeat(np.tile(np.linspace(50, 150, 96).astype(np.uint8), (64, 1))[:, :, None], 3, axis=2)


@pytest.mark.parametrize("name", [name for name in PREPROCESSORS if name not in NEED_MORE])
@pytest.mark.parametrize("size", [(64, 96), (1, 1), (3, 70)])
def test_a_hint_is_a_picture_of_the_same_size(picture, name, size):
    whole = np.ascontiguousarray(picture[: size[0], : size[1]])
    before = whole.copy()
    hint = preprocess(name, whole)
    assert hint.shape == whole.shape and hint.dtype == np.uint8
    np.testing.assert_array_equal(whole, before)


def test_scribble_and_line_art_are_bright_where_the_line_is_dark(picture):
    scribble = preprocess("scribble_xdog", picture)
    assert set(np.unique(scribble)) == {0, 255}
    assert (scribble[30, 10:12] == 255).all() and not scribble[:, 22:32].any()
    art = preprocess("lineart_standard", picture)
    assert art[30, 10].min() > 100 and art[30, 26].max() < 10


def test_a_higher_threshold_leaves_less(picture):
    assert 0 < preprocess("scribble_xdog", picture, threshold=200).sum() < preprocess("scribble_xdog", picture).sum()


def test_a_blank_sheet_has_no_line_art():
    sheet = np.random.default_rng(1).integers(244, 252, (40, 40, 3), dtype=np.uint8)
    assert preprocess("lineart_standard", sheet).max() < 64


def test_each_pixel_by_itself(picture):
    np.testing.assert_array_equal(preprocess("none", picture), picture)
    np.testing.assert_array_equal(preprocess("invert", picture), 255 - picture)
    white = preprocess("threshold", picture, least=100)
    assert (white[0, 0] == 255).all() and not white[30, 60].any()
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert preprocess("recolor_intensity", red)[0, 0, 0] == 255
    assert 120 < preprocess("recolor_luminance", red)[0, 0, 0] < 150
    assert preprocess("recolor_luminance", red, gamma=2)[0, 0, 0] < 90


@pytest.mark.parametrize(("name", "options"), [("blur_gaussian", {}), ("tile_resample", {"factor": 8})])
def test_coarse_pictures_keep_their_colours_without_detail(picture, name, options):
    coarse = preprocess(name, picture, **options).astype(int)
    assert abs(coarse.mean() - picture.mean()) < 5
    assert abs(np.diff(coarse, axis=1)).max() < abs(np.diff(picture.astype(int), axis=1)).max() / 2


def test_tiles_are_left_alone_by_a_factor_of_one(picture):
    np.testing.assert_array_equal(preprocess("tile_resample", picture), picture)
    np.testing.assert_array_equal(preprocess("tile_colorfix", picture), picture)


def test_color_gives_each_square_the_mean_of_its_colours(picture):
    squares = preprocess("color", picture, side=32)
    for row, column in ((0, 0), (32, 64)):
        part = np.s_[row : row + 32, column : column + 32]
        assert (squares[part] == squares[row, column]).all()
        assert abs(squares[row, column] - picture[part].mean((0, 1))).max() < 1


def test_shuffling_keeps_colours_and_is_decided_by_its_seed(picture):
    shuffled = preprocess("shuffle", picture, seed=3, reach=32)
    np.testing.assert_array_equal(shuffled, preprocess("shuffle", picture, seed=3, reach=32))
    assert (shuffled != preprocess("shuffle", picture, seed=4, reach=32)).any()
    assert (shuffled != picture).any(axis=2).mean() > 0.2
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert np.mean([tuple(colour) in colours for colour in shuffled.reshape(-1, 3).tolist()]) > 0.5
    assert abs(np.diff(shuffled.astype(int), axis=0)).mean() < 15


def test_depth_reaches_from_black_to_white(slope):
    depth = preprocess("depth_midas", slope)
    assert (depth.min(), depth.max()) == (0, 255)
    assert not preprocess("depth_midas", np.full((4, 4, 3), 90, np.uint8)).any()


def test_normals_face_us_but_for_the_slopes_of_what_is_near(slope):
    normal = preprocess("normal_midas", slope, background=0.4).astype(int)
    far, near = normal[32, 10], normal[32, 70]
    np.testing.assert_array_equal(far, [255, 127, 127])
    assert near[2] > 160 and near[1] == 127 and 127 < near[0] < 255
    turned = preprocess("normal_midas", np.ascontiguousarray(slope.transpose(1, 0, 2)), background=0.4)
    np.testing.assert_array_equal(turned[70, 32], near[[0, 2, 1]])


def test_holes_are_minus_one(picture):
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[10:20, 5:9] = 255
    mask[0, 0] = 127
    hint = preprocess("inpaint_only", picture, mask=mask)
    assert hint.dtype == np.float32
    assert (hint[10:20, 5:9] == -1).all()
    np.testing.assert_allclose(hint[mask <= 127], picture[mask <= 127] / 255, atol=1e-6)
    in_colours = preprocess("inpaint", picture, mask=np.repeat(mask[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(in_colours, hint)


# ---- what cannot be


@pytest.mark.parametrize("name", ["depth_midas", "normal_midas"])
def test_a_photograph_is_no_depth_map(picture, name):
    with pytest.raises(UsageError, match="This is no depth map, for it has colours"):
        preprocess(name, picture)


def test_a_mask_of_another_size_is_told(picture):
    with pytest.raises(UsageError, match="The mask is 3x4 pixels and the picture 96x64"):
        preprocess("inpaint_only", picture, mask=np.zeros((4, 3), np.uint8))


@pytest.mark.parametrize("name", absent.FILES)
def test_what_needs_a_network_says_which_and_what_to_do(picture, name):
    with pytest.raises(UsageError, match=r"network of its own \(.+\), which Pochade does not run.*'none'"):
        preprocess(name, picture)


def test_names_are_the_web_uis_with_their_older_forms():
    assert canonical("invert (from white bg & black line)") == "invert"
    assert canonical("Canny") == "canny"
    assert canonical("") == canonical("None") == "none"
    assert canonical("t2ia_color_grid") == "color"
    assert set(ALIASES.values()) <= PREPROCESSORS.keys() | absent.FILES.keys()
    assert not ALIASES.keys() & PREPROCESSORS.keys() and not PREPROCESSORS.keys() & absent.FILES.keys()


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean canny"):
        canonical("cany")


def test_options_are_told_with_their_defaults():
    assert options_of("canny") == {"low": 100, "high": 200}
    assert options_of("none") == {}
    assert options_of("inpaint_only") == {"mask": inspect.Parameter.empty}


def test_options_that_cannot_be_are_told(picture):
    for name, options, message in (
        ("canny", {"middle": 3}, "has no option 'middle'; its options are: low, high"),
        ("none", {"low": 3}, "has no option 'low'; its options are: none"),
        ("inpaint_only", {}, "needs 'mask'"),
        ("blur_gaussian", {"sigma": 0}, "sigma is 0; it must be above 0"),
        ("blur_gaussian", {"sigma": float("nan")}, "sigma is nan"),
        ("tile_resample", {"factor": 0.5}, "must be from 1"),
        ("tile_resample", {"factor": 1e9}, "must be from 1"),
        ("color", {"side": 0}, "1 pixel or more"),
        ("shuffle", {"reach": 0}, "1 pixel or more"),
        ("recolor_luminance", {"gamma": -1}, "above 0"),
    ):
        with pytest.raises(UsageError, match=message):
            preprocess(name, picture, **options)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_told(wrong):
    with pytest.raises(UsageError, match=r"must be of 8 bits, \[height, width, 3\]; this is "):
        preprocess("none", wrong)
