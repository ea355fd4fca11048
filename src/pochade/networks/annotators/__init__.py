"""Networks that make hints for ControlNets, named as in their original files.

Each takes pictures [B, 3, H, W] in 0..255, RGB, sides multiples of 64, and does the rest of the preparation itself.
"""

from pochade.networks.annotators.loading import load_annotator

__all__ = ["load_annotator"]
