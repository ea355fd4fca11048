"""Preprocessors that look with networks: which files hold those, and where to get them.

A preprocessor takes each of its networks as an option, a function from a picture to maps; torch stays elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pochade.preprocessors.filters import Floats
from pochade.preprocessors.pictures import Picture

Network = Callable[[Picture], Floats]
"""A picture to maps [C, h, w]."""

PUBLISHED = "https://huggingface.co/lllyasviel/Annotators"

FILES: Mapping[str, str] = {
    "hed": "ControlNetHED.pth",
    "pidinet": "table5_pidinet.pth",
    "lineart": "sk_model.pth",
    "lineart_coarse": "sk_model2.pth",
    "lineart_anime": "netG.pth",
    "midas": "dpt_hybrid-midas-501f0c75.pt",
    "mlsd": "mlsd_large_512_fp32.pth",
    "body": "body_pose_model.pth",
    "hand": "hand_pose_model.pth",
    "face": "facenet.pth",
}
"""Network -> the name of the file that it is published as."""

_HED, _PIDINET, _MIDAS = ({"network": each} for each in ("hed", "pidinet", "midas"))
_BODY, _HAND, _FACE = ({each: each} for each in ("body", "hand", "face"))

NETWORKS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("softedge_hed", "softedge_hedsafe", "scribble_hed"), _HED),
    **dict.fromkeys(("softedge_pidinet", "softedge_pidisafe", "scribble_pidinet", "t2ia_sketch_pidi"), _PIDINET),
    "lineart_realistic": {"network": "lineart"},
    "lineart_coarse": {"network": "lineart_coarse"},
    "lineart_anime": {"network": "lineart_anime"},
    **dict.fromkeys(("depth_midas", "normal_midas"), _MIDAS),
    "mlsd": {"network": "mlsd"},
    "openpose": _BODY,
    "openpose_hand": _BODY | _HAND,
    **dict.fromkeys(("openpose_face", "openpose_faceonly"), _BODY | _FACE),
    "openpose_full": _BODY | _HAND | _FACE,
}
"""Preprocessor -> its networks, by the option that each is given as."""

_OPENPOSE = {"body", "hand", "face"}

_CELL = 64  # the sides that every network can halve as often as it does


def what_to_get(networks: Sequence[str]) -> str:
    """The advice for networks that are not there."""
    files = " and ".join(FILES[each] for each in networks)
    licence = " (OpenPose's weights, licensed for non-commercial use only)" if _OPENPOSE & set(networks) else ""
    return (
        f"get {files} from {PUBLISHED}{licence} and name it (annotator=FILE, or --weights FILE), or put it into a "
        "folder of models as the web UI's ControlNet does"
    )


def in_cells(picture: Picture) -> Picture:
    """The picture with its last row and column repeated, until its sides are multiples of 64."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, -height % _CELL), (0, -width % _CELL), (0, 0)), mode="edge")
