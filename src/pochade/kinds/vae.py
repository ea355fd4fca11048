"""The VAE of a file: alone or inside a checkpoint, in the original's names or in diffusers'."""

from pochade import layouts
from pochade.families import Family
from pochade.files import Weights
from pochade.kinds.components import VAE, components

_DIFFUSERS = ("encoder.down_blocks.", "decoder.up_blocks.")


def vae_of(weights: Weights, family: Family) -> Weights:
    """Return a file's VAE in the original's names without a prefix; nothing where there is none."""
    if any(name.startswith(_DIFFUSERS) for name in weights):
        weights = layouts.vae.in_original_names(weights)
    names = components(weights).get(VAE, [])
    if any(name.startswith(family.vae_prefix) for name in names):
        names = [name for name in names if name.startswith(family.vae_prefix)]
    tensors = {name.removeprefix(family.vae_prefix): weights.lazy(name) for name in names}
    return Weights(tensors, weights.metadata, weights.path, weights.format, weights.extra)
