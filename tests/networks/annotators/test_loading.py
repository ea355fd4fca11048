"""A network is told by names and shapes; whatever stands before the names, in whatever precision."""

import pytest
import torch

from pochade.errors import MalformedFileError, UnsafeFileError
from pochade.networks.annotators import load_annotator
from pochade.networks.annotators.loading import KINDS, Midas
from pochade.preprocessors.learned import FILES, NETWORKS
from tests.families.manifests import part, shapes
from tests.networks.annotators import published
from tests.networks.annotators.published import saved, state_of
from tests.networks.test_depth import tensors as depth_tensors  # noqa: F401

CPU = torch.device("cpu")
STATES = {
    "hed": published.hed(4),
    "pidinet": published.pidinet(4, 4),
    "lineart": published.line_drawing(4),
    "lineart_coarse": published.line_drawing(4),
    "lineart_anime": published.anime_lines(4, 4),
    "mlsd": published.mlsd(),
    "body": published.body(4),
    "hand": published.body_part(4),
    "face": published.body_part(4, 71),
}


def test_every_network_of_a_preprocessor_can_be_loaded_and_has_a_file():
    wanted = {each for networks in NETWORKS.values() for each in networks.values()}
    assert wanted == KINDS.keys() == FILES.keys() == STATES.keys() | {"midas"}


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("prefix", ["", "module.", "netNetwork."])
def test_a_file_is_read_with_anything_before_its_names(kind, prefix, tmp_path):
    state = state_of(STATES[kind])
    path = saved({name: value.half() if value.ndim else value for name, value in state.items()}, tmp_path / "a", prefix)
    network = load_annotator(kind, path, CPU)
    assert all(value.dtype == torch.float32 for value in network.state_dict().values())
    maps = network(torch.rand(1, 3, 64, 64) * 255)
    assert maps.isfinite().all()


def test_a_published_file_of_torch_is_read(tmp_path):
    state = state_of(STATES["pidinet"])
    held = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}
    torch.save(held, tmp_path / "table5_pidinet.pth")
    network = load_annotator("pidinet", tmp_path / "table5_pidinet.pth", CPU)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@torch.no_grad()
def test_depth_is_read_alone_or_out_of_a_depth_model(depth_tensors, tmp_path):  # noqa: F811
    alone = saved(depth_tensors, tmp_path / "alone")
    inside = saved(depth_tensors, tmp_path / "inside", "depth_model.model.")
    pictures = torch.rand(1, 3, 64, 128) * 255
    first, second = (load_annotator("midas", path, CPU) for path in (alone, inside))
    depth = first(pictures)
    assert torch.equal(depth, second(pictures)) and torch.equal(depth, first.estimate(pictures / 127.5 - 1))
    assert depth.shape == (1, 1, 64, 128)


def test_the_published_names_of_midas_are_those_of_the_depth_model():
    with torch.device("meta"):
        network = Midas(part(shapes("sd2-depth.ldm"), "depth_model.model."))
    assert KINDS["midas"].mark in network.state_dict()


@pytest.mark.parametrize(("kind", "other"), [("hed", "lineart"), ("hand", "face"), ("face", "hand"), ("body", "hand")])
def test_a_file_of_another_network_is_refused(kind, other, tmp_path):
    path = saved(state_of(STATES[other]), tmp_path / "other.pth")
    with pytest.raises(MalformedFileError, match=f"other.pth: is not what this preprocessor looks with.*{FILES[kind]}"):
        load_annotator(kind, path, CPU)


def test_a_damaged_file_is_refused(tmp_path):
    state = state_of(STATES["hed"])
    del state["block5.convs.2.bias"]
    with pytest.raises(MalformedFileError, match=r"block5\.convs\.2\.bias"):
        load_annotator("hed", saved(state, tmp_path / "damaged.pth"), CPU)
    path = tmp_path / "page.pth"
    path.write_text("<html>")
    with pytest.raises(MalformedFileError, match="is a web page"):
        load_annotator("hed", path, CPU)


@pytest.mark.parametrize(("kind", "name"), [("hed", "block4.projection.weight"), ("hand", "conv2_1.weight")])
def test_layers_that_do_not_follow_each_other_are_refused(kind, name, tmp_path):
    state = state_of(STATES[kind])
    state[name] = torch.cat([state[name]] * 2, dim=1)
    with pytest.raises(MalformedFileError, match=r"^\S+odd\.pth: has layers that do not follow each other: .+$"):
        load_annotator(kind, saved(state, tmp_path / "odd.pth"), CPU)


def test_a_tensor_of_another_size_is_told_in_one_line(tmp_path):
    state = state_of(STATES["hed"])
    state["block1.convs.0.bias"] = torch.zeros(5)
    with pytest.raises(MalformedFileError, match=r"^\S+odd\.pth: .+ 'block1\.convs\.0\.bias' is \[5\].+want \[4\].$"):
        load_annotator("hed", saved(state, tmp_path / "odd.pth"), CPU)


def test_weights_that_carry_code_are_not_run(tmp_path):
    class Act:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"state_dict": state_of(STATES["hed"]), "act": Act()}, tmp_path / "a.pth")
    with pytest.raises(UnsafeFileError):
        load_annotator("hed", tmp_path / "a.pth", CPU)
