"""Replays requests recorded from A1111 1.10.1 through `pochade.Pipeline`.

`generate(kind, request)` takes the body of A1111's API and returns the pictures as arrays, with their texts.
POCHADE_GOLDEN_MODELS may name a folder for the models that `models.py` makes, each on first use; without it they are
made in a temporary one.
"""

import base64
import os
import tempfile
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pochade import Pipeline, Request
from pochade.events import Made
from pochade.generation.pictures.input_picture import open_picture
from pochade.generation.pictures.inputs import Inputs
from pochade.generation.request import FILLS, RESIZE_MODES
from tests.golden.extra_models import make_extras
from tests.golden.lora_models import make_loras
from tests.golden.models import make, make_vae

INPUTS = Path(__file__).parent / "inputs"
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
    "denoising_strength": "strength",
    "initial_noise_multiplier": "noise_multiplier",
    "image_cfg_scale": "image_cfg",
    "mask_blur": "mask_blur",
    "hr_upscaler": "hires_upscaler",
    "hr_second_pass_steps": "hires_steps",
    "hr_sampler_name": "hires_sampler",
    "hr_scheduler": "hires_schedule",
    "hr_prompt": "hires_prompt",
    "hr_negative_prompt": "hires_negative_prompt",
    "refiner_switch_at": "refiner_switch_at",
}
# A1111's setting -> ours
OPTIONS = {
    "CLIP_stop_at_last_layers": "clip_skip",
    "sdxl_clip_l_skip": "clip_l_skip",
    "sdxl_refiner_high_aesthetic_score": "aesthetic_score",
    "sdxl_refiner_low_aesthetic_score": "negative_aesthetic_score",
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
    "img2img_extra_noise": "extra_noise",
    "img2img_fix_steps": "exact_steps",
    "img2img_color_correction": "color_correction",
    "img2img_background_color": "background",
    "inpainting_mask_weight": "mask_weight",
    "hires_fix_refiner_pass": "refiner_pass",
    "refiner_switch_by_sample_steps": "refiner_by_steps",
}
_IGNORED = {
    "sd_model_checkpoint",
    "randn_source",
    "sd_noise_schedule",
    "sdxl_crop_left",
    "sdxl_crop_top",
    "seed_resize_from_w",
    "seed_resize_from_h",
    "n_iter",
    "sd_vae",
}
_IGNORED |= {"enable_hr", "hr_scale", "hr_resize_x", "hr_resize_y", "refiner_checkpoint", "alwayson_scripts"}
_IGNORED |= {"init_images", "resize_mode", "mask", "inpainting_fill", "inpaint_full_res", "inpaint_full_res_padding"}
_IGNORED |= {"inpainting_mask_invert"}
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
        **values | _of_picture(body) | _of_second_pass(body) | _of_soft_inpainting(body),
        count=rounds * batch,
        rng=RNG[options.get("randn_source", "GPU")],
        zero_terminal_snr=options.get("sd_noise_schedule") == "Zero Terminal SNR",
        crop=(options.get("sdxl_crop_left", 0), options.get("sdxl_crop_top", 0)),
        seed_resize_from=(width, height) if min(width, height) > 0 else None,
    )


def _of_picture(body: dict[str, Any]) -> dict[str, Any]:
    """What concerns a picture to begin with, and its mask."""
    return {
        "resize_mode": RESIZE_MODES[body.get("resize_mode", 0)],
        "fill": FILLS[body.get("inpainting_fill", 0)],
        "only_masked": "mask" in body and body.get("inpaint_full_res", True),
        "padding": body.get("inpaint_full_res_padding", 0),
        "invert_mask": bool(body.get("inpainting_mask_invert", 0)),
    }


def _of_second_pass(body: dict[str, Any]) -> dict[str, Any]:
    sides = (body.get("hr_resize_x", 0), body.get("hr_resize_y", 0))
    refiner = body.get("refiner_checkpoint")
    return {
        "hires": float(body["hr_scale"]) if body.get("enable_hr") else 0.0,
        "hires_size": sides if body.get("enable_hr") and any(sides) else None,
        "refiner": str(model_file(refiner)) if refiner else "",
    }


def _of_soft_inpainting(body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("alwayson_scripts", {}).get("soft inpainting", {}).get("args", [])
    names = ("soft_power", "soft_scale", "soft_detail", "soft_mask_influence", "soft_threshold", "soft_contrast")
    return {"soft": bool(given and given[0])} | dict(zip(names, map(float, given[1:]), strict=False))


def inputs_of(body: dict[str, Any]) -> Inputs:
    """The pictures in A1111's API body: base64, or "@name" for those beside this file."""
    mask = body.get("mask")
    return Inputs(tuple(map(_picture, body.get("init_images", ()))), _picture(mask) if mask else None)


def _picture(given: str) -> Image.Image:
    return open_picture(INPUTS / f"{given[1:]}.png" if given.startswith("@") else BytesIO(base64.b64decode(given)))


@lru_cache(maxsize=1)
def models_folder() -> Path:
    """Where the models are kept."""
    given = os.environ.get("POCHADE_GOLDEN_MODELS")
    return Path(given) if given else Path(tempfile.mkdtemp(prefix="pochade-golden-"))


def model_file(name: str) -> Path:
    """One of the models, made on first use."""
    return make(models_folder(), name)


@lru_cache(maxsize=2)
def pipeline(name: str, vae: str | None = None) -> Pipeline:
    """The pipeline of one of the models, in float32 on the CPU."""
    path = make_vae(models_folder()) if vae else None
    make_extras(models_folder())
    make_loras(models_folder())
    return Pipeline.load(model_file(name), vae=path, device="cpu", dtype="fp32", folders=[models_folder()])


def generate(kind: str, request: dict[str, Any]) -> dict[str, list[Any]]:
    """The pictures of a recorded request, uint8 [H, W, 3] each, and the texts that they carry."""
    if kind not in ("txt2img", "img2img"):
        raise UnknownFieldError(kind)
    options = request["override_settings"]
    drawing = pipeline(options["sd_model_checkpoint"], options.get("sd_vae"))
    drawn = drawing.run(request_of(request), inputs_of(request))
    pictures = [event.result for event in drawn if isinstance(event, Made)]
    return {
        "images": [np.asarray(picture.image) for picture in pictures],
        "infotexts": [picture.infotext for picture in pictures],
    }
