"""Where the networks of preprocessors are found."""

import pytest

from pochade.errors import MissingFileError, UsageError
from pochade.library.annotators import PLACES, annotator_files, annotator_for


@pytest.fixture
def put(tmp_path):
    """Make an empty file below a folder of models."""

    def make(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return str(path)

    return make


@pytest.mark.parametrize("place", ["", *PLACES])
def test_a_network_is_found_where_programs_put_it(put, tmp_path, place):
    path = put(f"{place}/hed/ControlNetHED.pth".strip("/"))
    assert annotator_for("softedge_hed", "", [tmp_path]) == path
    assert annotator_for("hed", "controlnethed.pth", [tmp_path]) == path


def test_only_the_places_are_searched_where_they_are_there(put, tmp_path):
    put("models/ControlNetPreprocessor/other.pth")
    put("models/Stable-diffusion/ControlNetHED.pth")
    with pytest.raises(UsageError, match=r"get ControlNetHED\.pth"):
        annotator_for("hed", "", [tmp_path])


def test_any_ending_of_weights_will_do(put, tmp_path):
    path = put("annotators/controlnethed.safetensors")
    put("annotators/ControlNetHED.yaml")
    assert annotator_for("hed", "", [tmp_path]) == path


def test_a_path_is_taken_as_it_is(put):
    path = put("mine.bin")
    assert annotator_for("hed", path, []) == path


def test_what_needs_no_network_or_can_do_without_has_none(tmp_path):
    assert annotator_for("canny", "", [tmp_path]) == annotator_for("depth_midas", "", [tmp_path]) == ""
    assert annotator_files("depth_midas", "") == {}


def test_a_name_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MissingFileError, match="mine: there is no such file with a preprocessor's network"):
        annotator_for("depth_midas", "mine", [tmp_path])
    with pytest.raises(MissingFileError, match=r"none\.pth: there is no such file"):
        annotator_files("hed", str(tmp_path / "none.pth"))


def test_further_networks_lie_beside_the_first(put, tmp_path):
    body, hand = put("openpose/my body.pth"), put("openpose/Hand_Pose_Model.pth")
    assert {option: str(path) for option, path in annotator_files("openpose_hand", body).items()} == {
        "body": body,
        "hand": hand,
    }
    with pytest.raises(MissingFileError, match=r"facenet\.pth: this is wanted beside my body\.pth and is not there"):
        annotator_files("openpose_full", body)
    with pytest.raises(UsageError, match=r"get body_pose_model\.pth and hand_pose_model\.pth from"):
        annotator_files("openpose_hand", "")
