"""What a checkpoint carries beside its networks: moving averages, and what nobody needs for pictures."""

from collections.abc import Iterable

SCHEDULE = {
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "lvlb_weights",
    "logvar",
    "scale_factor",
    "denoiser.sigmas",
}
"""The noise schedule's buffers; they follow from two numbers."""

MARKERS = frozenset({"ztsnr", "v_pred", "edm_mean", "edm_std"})
LEFTOVERS = ("optimizer_states", "callbacks", "lr_schedulers", "optimizer", "loops")
"""What Lightning stores beside the weights."""

_COUNTERS = ("model_ema.decay", "model_ema.num_updates")
TRAINING = ("first_stage_model.loss.", "loss.")
"""How the names of what only training needed begin: losses and their networks."""
POSITIONS = ".position_ids"
"""How the name of a text encoder's position numbers ends."""

_DERIVABLE = (POSITIONS, "logit_scale")


def ema_state(names: Iterable[str]) -> str:
    """Return whether the UNet is there live, as moving average, or both: `none`, `only` or `both`."""
    names = list(names)
    if not any(name.startswith("model_ema.diffusion_model") for name in names):
        return "none"
    return "both" if any(name.startswith("model.diffusion_model.") for name in names) else "only"


def is_schedule(name: str) -> bool:
    """Tell whether a tensor is a buffer of a noise schedule, the model's own or that of a part."""
    return name.rpartition(".")[2] in SCHEDULE


def junk(names: Iterable[str]) -> list[str]:
    """Return the names of tensors that can go without any loss."""
    names = list(names)
    return [name for name in names if name in SCHEDULE or name.endswith(_DERIVABLE)] + leftovers(names)


def leftovers(names: Iterable[str]) -> list[str]:
    """Return the names of what only training needed."""
    names = list(names)
    unused = _COUNTERS if ema_state(names) == "none" else ()
    return [name for name in names if name.startswith(TRAINING) or name in unused]
