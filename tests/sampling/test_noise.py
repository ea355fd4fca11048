import pytest
import torch

from pochade.errors import UnknownNameError
from pochade.sampling.noise import ImageNoise, Seeds, generator, paste_centred, slerp
from pochade.sampling.philox import Philox

from .vectors import cases, name


@pytest.mark.parametrize("case", [case for case in cases("philox_nv") if "first_call" in case], ids=name)
def test_philox_draws_what_cuda_draws(case):
    stream = Philox(case["seed"])
    shape = tuple(case["shape"])
    for wanted, size in (("first_call", shape), ("second_call", shape), ("third_call_shape_3", (3,))):
        drawn = stream.randn(size)
        assert drawn.shape == size
        torch.testing.assert_close(torch.from_numpy(drawn).flatten(), torch.tensor(case[wanted]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("case", [case for case in cases("philox_nv") if "first_call_head" in case], ids=name)
def test_philox_in_the_size_of_a_picture(case):
    drawn = torch.from_numpy(Philox(case["seed"]).randn(tuple(case["shape"]))).flatten()
    torch.testing.assert_close(drawn[:16], torch.tensor(case["first_call_head"]), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(drawn[-16:], torch.tensor(case["first_call_tail"]), atol=1e-6, rtol=1e-6)
    assert float(drawn.mean()) == pytest.approx(case["mean"], abs=1e-6)
    assert float(drawn.std(correction=0)) == pytest.approx(case["std"], abs=1e-6)


@pytest.mark.parametrize("case", cases("slerp"), ids=name)
def test_slerp(case):
    low, high = (torch.tensor(case[each]).reshape(case["shape"]) for each in ("low", "high"))
    blended = slerp(case["val"], low, high)
    torch.testing.assert_close(blended.flatten(), torch.tensor(case["expected"]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("case", cases("image_rng"), ids=name)
def test_image_noise(case):
    resize = (case["seed_resize_from_w"], case["seed_resize_from_h"]) if "seed_resize_from_w" in case else None
    seeds = Seeds(
        seeds=tuple(case["seeds"]),
        source=case["source"],
        subseeds=tuple(case.get("subseeds", ())),
        strength=case.get("subseed_strength", 0.0),
        resize_from=resize,
        eta_delta=case.get("ensd", 0),
    )
    noise = ImageNoise(tuple(case["shape"]), seeds)
    for wanted, drawn in (("first", noise.first()), ("second", noise.next()), ("third", noise.next())):
        assert drawn.shape == (len(case["seeds"]), *case["shape"])
        torch.testing.assert_close(drawn.flatten(), torch.tensor(case[wanted]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("source", ["cpu", "NV", "gpu"])
def test_a_batch_draws_what_single_runs_draw(source):
    together = ImageNoise((4, 3, 5), Seeds(seeds=(7, 8), source=source))
    alone = [ImageNoise((4, 3, 5), Seeds(seeds=(seed,), source=source)) for seed in (7, 8)]
    for draw in ("first", "next", "next"):
        assert torch.equal(getattr(together, draw)(), torch.cat([getattr(each, draw)() for each in alone]))


def test_gpu_falls_back_to_the_cpu_generator():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert torch.equal(generator("gpu", 5).randn((4,)), generator("cpu", 5).randn((4,)))


def test_unknown_source_offers_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"no noise source named 'nw'; did you mean nv"):
        generator("nw", 1)


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (8, 9), (2, 9), (5, 6)])
def test_pasting_keeps_the_centre(rows, columns):
    noise, ground = torch.ones(1, rows, columns), torch.zeros(1, 5, 6)
    pasted = paste_centred(noise, ground)
    assert pasted.shape == ground.shape
    assert ground.sum() == 0
    assert pasted.sum() >= (min(rows, 5) - 1) * (min(columns, 6) - 1)
    assert pasted[0, 2, 2] == 1


def test_long_seeds_use_all_their_bits():
    assert not (Philox(1).randn((4,)) == Philox(1 + 2**32).randn((4,))).any()
