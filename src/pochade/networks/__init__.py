"""Networks whose attribute names are the original checkpoint's keys; every size is read from tensor shapes."""

from pochade.networks.clip import CLIPText, clip_shapes
from pochade.networks.fresh import fresh
from pochade.networks.loading import Networks, array_of, load, networks_of, tensor_of
from pochade.networks.unet import UNet, unet_shapes
from pochade.networks.vae import VAE, vae_shapes

__all__ = [
    "VAE",
    "CLIPText",
    "Networks",
    "UNet",
    "array_of",
    "clip_shapes",
    "fresh",
    "load",
    "networks_of",
    "tensor_of",
    "unet_shapes",
    "vae_shapes",
]
