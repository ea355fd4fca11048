"""Give a picture the colours of another: img2img drifts in hue when it is repeated, and this holds it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)  # of linear sRGB
_WHITE = np.array([0.950456, 1.0, 1.088754])  # D65
_LUMINANCE = np.array([0.30, 0.59, 0.11])
_LINEAR_BELOW = 0.008856  # of the cube root in CIELAB


def recoloured(image: Image.Image, like: Image.Image) -> Image.Image:
    """The picture with the distribution of lightness and hues of another one, but its own luminosity."""
    own = np.asarray(image.convert("RGB"))
    lab, wanted = _lab(own), _lab(np.asarray(like.convert("RGB")))
    matched = np.stack([_matched(lab[..., axis], wanted[..., axis]) for axis in range(3)], axis=-1)
    values = _with_luminosity(_rgb(matched), (own / 255) @ _LUMINANCE)
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _matched(values: NDArray[np.uint8], like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Values moved so that as many lie below each as in the other picture."""
    shares, wanted = (np.bincount(each.ravel(), minlength=256).cumsum() / each.size for each in (values, like))
    present = np.flatnonzero(np.diff(wanted, prepend=0.0))
    moved = np.interp(shares, wanted[present], present)
    result: NDArray[np.uint8] = moved.astype(np.uint8)[values]
    return result


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """sRGB as CIELAB in 8 bits, the lightness over the whole range and the hues around 128."""
    values = rgb / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    roots = np.where(xyz > _LINEAR_BELOW, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(roots, -1, 0)
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=-1)
    return np.asarray(np.rint(lab.clip(0, 255)), dtype=np.uint8)


def _rgb(lab: NDArray[np.uint8]) -> Floats:
    """The reverse of `_lab`, in 0..1."""
    lightness, a, b = np.moveaxis(lab.astype(np.float64), -1, 0)
    y = (lightness / 2.55 + 16) / 116
    roots = np.stack([y + (a - 128) / 500, y, y - (b - 128) / 200], axis=-1)
    xyz = np.where(roots**3 > _LINEAR_BELOW, roots**3, (roots - 16 / 116) / 7.787) * _WHITE
    linear = (xyz @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    rgb: Floats = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb


def _with_luminosity(rgb: Floats, wanted: Floats) -> Floats:
    """The colours at another luminosity, drawn towards grey where they would leave the range (W3C compositing)."""
    moved = rgb + (wanted - rgb @ _LUMINANCE)[..., None]
    grey = wanted[..., None]
    low, high = moved.min(axis=-1, keepdims=True), moved.max(axis=-1, keepdims=True)
    raised = np.where(low < 0, grey + (moved - grey) * grey / np.maximum(grey - low, 1e-9), moved)
    lowered = grey + (raised - grey) * (1 - grey) / np.maximum(high - grey, 1e-9)
    return np.asarray(np.where(high > 1, lowered, raised).clip(0, 1))
