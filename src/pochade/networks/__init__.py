"""Networks whose attribute names are the original checkpoint's keys; every size is read from tensor shapes."""

from pochade.networks.clip import CLIPText, clip_shapes
from pochade.networks.controlnet import ControlNet, controlnet_shapes
from pochade.networks.controlnet_loading import load_controlnet
from pochade.networks.fresh import fresh
from pochade.networks.loading import Networks, TextNetwork, array_of, load, networks_of, tensor_of
from pochade.networks.openclip import OpenCLIPText, openclip_shapes
from pochade.networks.t2i_adapter import T2IAdapter, load_t2i_adapter
from pochade.networks.unet import UNet, unet_shapes
from pochade.networks.vae import VAE, vae_shapes

__all__ = [
    "VAE",
    "CLIPText",
    "ControlNet",
    "Networks",
    "OpenCLIPText",
    "T2IAdapter",
    "TextNetwork",
    "UNet",
    "array_of",
    "clip_shapes",
    "controlnet_shapes",
    "fresh",
    "load",
    "load_controlnet",
    "load_t2i_adapter",
    "networks_of",
    "openclip_shapes",
    "tensor_of",
    "unet_shapes",
    "vae_shapes",
]
