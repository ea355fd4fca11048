"""Embeddings' files: which tensors are the vectors, what comes bundled, and where a word belongs."""

import numpy as np
import pytest

from pochade.errors import MalformedFileError
from pochade.files import Weights
from pochade.kinds.embedding import bundled_in, is_negative, vectors_of


def weights(metadata=None, **shapes):
    return Weights.from_arrays({name: np.ones(shape, np.float32) for name, shape in shapes.items()}, metadata)


@pytest.mark.parametrize(
    ("tensors", "shapes"),
    [
        ({"string_to_param.*": (3, 768)}, [(3, 768)]),
        ({"emb_params": (2, 1024)}, [(2, 1024)]),
        ({"<cat>": (768,)}, [(1, 768)]),
        ({"any name": (4, 768)}, [(4, 768)]),
        ({"clip_g": (5, 1280), "clip_l": (5, 768)}, [(5, 768), (5, 1280)]),
        ({"clip_g": (5, 1280), "clip_l": (5, 768), "more": (1,)}, [(5, 768), (5, 1280)]),
    ],
)
def test_vectors_are_found_in_every_form(tensors, shapes):
    assert [each.info.shape for each in vectors_of(weights(**tensors))] == shapes


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"a": (1, 768), "b": (1, 768)},
        {"clip_l": (2, 768), "clip_g": (3, 1280)},
        {"emb_params": (0, 768)},
        {"emb_params": ()},
        {"emb_params": (1, 2, 768)},
        {"clip_l": (2, 768)} | {"clip_g": (2, 1, 1280)},
    ],
)
def test_other_tensors_are_no_embedding(tensors):
    with pytest.raises(MalformedFileError, match="is no embedding"):
        vectors_of(weights(**tensors))


def test_a_lora_s_embeddings_are_told_apart_from_the_rest():
    found = bundled_in(
        weights(
            **{
                "bundle_emb.cat.string_to_param.*": (2, 768),
                "bundle_emb.dog.clip_l": (1, 768),
                "bundle_emb.dog.clip_g": (1, 1280),
                "bundle_emb.broken": (1,),
                "lora_te_x.alpha": (),
            }
        )
    )
    assert {word: sorted(each) for word, each in found.items()} == {
        "cat": ["string_to_param.*"],
        "dog": ["clip_g", "clip_l"],
    }
    assert vectors_of(found["cat"])[0].info.shape == (2, 768)


@pytest.mark.parametrize(
    ("name", "negative"),
    [
        ("EasyNegative", True),
        ("ng_deepnegative_v1_75t", True),
        ("badhandv4", True),
        ("bad_prompt_version2", True),
        ("verybadimagenegative_v1.3", True),
        ("zorp-neg", True),
        ("zorp-uncond", True),
        ("AC_Neg1", True),
        ("zorp", False),
        ("badger", False),
        ("negroni-style", False),
        ("soft-negligee", False),
    ],
)
def test_a_name_tells_where_a_word_belongs(name, negative):
    assert is_negative(name, weights()) == negative


def test_what_a_file_states_goes_before_its_name():
    stated = "modelspec.is_negative_embedding"
    assert is_negative("zorp", weights({stated: "true"}))
    assert not is_negative("EasyNegative", weights({stated: "false"}))
