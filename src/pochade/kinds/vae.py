"""The VAE of a file: alone or inside a checkpoint."""

from pochade.families import Family
from pochade.files import Weights
from pochade.kinds.components import VAE, components


def vae_of(weights: Weights, family: Family) -> Weights:
    """Return a file's VAE without a prefix; nothing where there is none."""
    names = components(weights).get(VAE, [])
    if any(name.startswith(family.vae_prefix) for name in names):
        names = [name for name in names if name.startswith(family.vae_prefix)]
    tensors = {name.removeprefix(family.vae_prefix): weights.lazy(name) for name in names}
    return Weights(tensors, weights.metadata, weights.path, weights.format, weights.extra)
