"""Preprocessors of the web UI whose networks Pochade does not have."""

from pochade.errors import UsageError

_ANIMALS = "rtmpose-m_simcc-ap10k_pt-aic-coco_210e-256x256-7a041aa1_20230206.onnx"
_DENSEPOSE = ("densepose_r50_fpn_dl.torchscript",)

FILES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("densepose", "densepose_parula"), _DENSEPOSE),
    "dw_openpose_full": ("yolox_l.onnx", "dw-ll_ucoco_384.onnx"),
    "animal_openpose": ("yolox_l.onnx", _ANIMALS),
    "depth_leres": ("res101.pth",),
    "depth_leres++": ("res101.pth", "latest_net_G.pth"),
    "depth_zoe": ("ZoeD_M12_N.pt",),
    "depth_anything": ("depth_anything_vitl14.pth",),
    "depth_anything_v2": ("depth_anything_v2_vitl.safetensors",),
    "normal_bae": ("scannet.pt",),
    "normal_dsine": ("dsine.pt",),
    "softedge_teed": ("7_model.pth",),
    "softedge_anyline": ("MTEED.pth",),
    "lineart_anime_denoise": ("erika.pth",),
    "seg_ufade20k": ("upernet_global_small.pth",),
    "seg_ofade20k": ("250_16_swin_l_oneformer_ade20k_160k.pth",),
    "seg_ofcoco": ("150_16_swin_l_oneformer_coco_100ep.pth",),
    "seg_anime_face": ("UNet.pth",),
    "inpaint_only+lama": ("ControlNetLama.pth",),
}
"""Name -> the files with weights that it reads."""


def refuse(name: str) -> None:
    """Raise UsageError for a preprocessor that needs weights, and say how to do without."""
    if name in FILES:
        files = " and ".join(FILES[name])
        raise UsageError(
            f"The preprocessor {name!r} is a network of its own ({files}), which Pochade does not run: make the map "
            "with a program that has it, and give that map with the preprocessor 'none'."
        )
