"""Replays requests recorded from A1111 1.10.1 through `pochade.Pipeline`.

`generate(kind, request)` takes the body of A1111's API and returns the pictures as arrays. POCHADE_GOLDEN_MODELS may
name a folder with the models that `models.py` makes; without it they are made in a temporary folder.
"""

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pochade import Pipeline, Request
from pochade.events import Made
from tests.golden.models import make

RNG = {"CPU": "cpu", "NV": "nv", "GPU": "gpu"}
# A1111's API field -> ours
FIELDS = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "steps": "steps",
    "sampler_name": "sampler",
    "scheduler": "schedule",
    "cfg_scale": "cfg",
    "seed": "seed",
    "width": "width",
    "height": "height",
    "batch_size": "batch",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
    "tiling": "tiling",
    "eta": "eta",
    "s_churn": "s_churn",
    "s_tmin": "s_tmin",
    "s_tmax": "s_tmax",
    "s_noise": "s_noise",
    "s_min_uncond": "ngms",
}
# A1111's setting -> ours
OPTIONS = {
    "CLIP_stop_at_last_layers": "clip_skip",
    "eta_noise_seed_delta": "ensd",
    "emphasis": "emphasis",
    "pad_cond_uncond": "pad_cond_uncond",
    "pad_cond_uncond_v0": "pad_cond_uncond_v0",
    "comma_padding_backtrack": "comma_backtrack",
    "use_old_scheduling": "old_prompt_editing",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "rho": "rho",
    "beta_dist_alpha": "beta_alpha",
    "beta_dist_beta": "beta_beta",
    "use_old_karras_scheduler_sigmas": "old_sigma_limits",
    "always_discard_next_to_last_sigma": "discard_next_to_last",
    "enable_quantization": "quantize",
    "sgm_noise_multiplier": "sgm_noise_multiplier",
    "no_dpmpp_sde_batch_determinism": "sde_batch_noise",
    "s_min_uncond_all": "ngms_all",
    "skip_early_cond": "skip_early_cond",
    "use_downcasted_alpha_bar": "downcast_alphas",
    "uni_pc_variant": "uni_pc_variant",
    "uni_pc_skip_type": "uni_pc_skip",
    "uni_pc_order": "uni_pc_order",
    "uni_pc_lower_order_final": "uni_pc_lower_order_final",
    "eta_ancestral": "eta",
    "eta_ddim": "eta",
}
_IGNORED = {
    "sd_model_checkpoint",
    "randn_source",
    "sd_noise_schedule",
    "seed_resize_from_w",
    "seed_resize_from_h",
    "n_iter",
}
_IGNORED |= {"override_settings", "override_settings_restore_afterwards", "save_images", "send_images"}


class UnknownFieldError(LookupError):
    """A recorded request asks for something this replay does not translate."""


def request_of(body: dict[str, Any]) -> Request:
    """A1111's API body as a Request."""
    options = body.get("override_settings", {})
    unknown = (set(body) - set(FIELDS) - _IGNORED) | (set(options) - set(OPTIONS) - _IGNORED)
    if unknown:
        raise UnknownFieldError(", ".join(sorted(unknown)))
    values = {FIELDS[key]: value for key, value in body.items() if key in FIELDS and value is not None}
    values |= {OPTIONS[key]: value for key, value in options.items() if key in OPTIONS}
    rounds, batch = body.get("n_iter", 1), values.get("batch", 1)
    width, height = body.get("seed_resize_from_w", 0), body.get("seed_resize_from_h", 0)
    return Request(
        **values,
        count=rounds * batch,
        rng=RNG[options.get("randn_source", "GPU")],
        zero_terminal_snr=options.get("sd_noise_schedule") == "Zero Terminal SNR",
        seed_resize_from=(width, height) if min(width, height) > 0 else None,
    )


@lru_cache(maxsize=1)
def models_folder() -> Path:
    """Where the models are, made on first use."""
    given = os.environ.get("POCHADE_GOLDEN_MODELS")
    folder = Path(given) if given else Path(tempfile.mkdtemp(prefix="pochade-golden-"))
    make(folder)
    return folder


@lru_cache(maxsize=2)
def pipeline(name: str) -> Pipeline:
    """The pipeline of one of the models, in float32 on the CPU."""
    return Pipeline.load(models_folder() / f"{name}.safetensors", device="cpu", dtype="fp32")


def generate(kind: str, request: dict[str, Any]) -> list[np.ndarray]:
    """The pictures of a recorded request, uint8 [H, W, 3] each."""
    if kind != "txt2img":
        raise UnknownFieldError(kind)
    drawn = pipeline(request["override_settings"]["sd_model_checkpoint"]).run(request_of(request))
    return [np.asarray(event.result.image) for event in drawn if isinstance(event, Made)]
