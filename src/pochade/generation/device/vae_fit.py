"""Whether a VAE that is given to a model can be one for it."""

from pochade.errors import MalformedFileError
from pochade.families import FAMILIES, Family, recognise
from pochade.files import Weights
from pochade.kinds.vae import vae_of
from pochade.library import short_hash

_NARROWEST = "decoder.conv_in.weight"


def check_vae(weights: Weights, family: Family) -> None:
    """Raise MalformedFileError for one with another kind of latents.

    Those of SD 1 and 2 and of SDXL have the same shapes, so they are told apart by what else the file holds, and the
    published ones by their hash; of others nobody knows.
    """
    path = weights.path or "the VAE"
    shapes = vae_of(weights, family).shapes()
    channels = shapes[_NARROWEST][1] if len(shapes.get(_NARROWEST, ())) == 4 else family.latent_channels
    if channels != family.latent_channels:
        problem = f"its latents have {channels} channels, and those of {family.title} {family.latent_channels}"
        raise MalformedFileError(path, f"{problem}; give a VAE for {family.title}.")
    owner = _owner(weights)
    if owner and owner.latent_scale != family.latent_scale:
        problem = f"this VAE is one for {owner.title}, and the model is {family.title}, whose latents are others"
        raise MalformedFileError(path, f"{problem}; give a VAE for {family.title}, or none (--vae none).")


def _owner(weights: Weights) -> Family | None:
    """The family that a VAE's file is of: a checkpoint tells, and the published files are known."""
    family = recognise(weights.shapes())
    if family or weights.path is None or weights.path.is_dir():
        return family
    digest = short_hash(weights.path)
    return next((each for each in FAMILIES if digest in each.vaes), None)
