"""What lies beside models: configurations, texts, pictures and arrays. Told apart only to say whether they are safe."""

import codecs
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from pochade.errors import MalformedFileError, UnsafeFileError
from pochade.files.mapped import MappedFile
from pochade.files.pictures import MOST_PIXELS

TEXTS = {".txt", ".md", ".csv", ".tsv", ".log", ".caption", ".html", ".css", ".js", ".xml", ".svg", ".jsonl", ".model"}
"""Suffixes of files that no loader of models opens; any text may stand in them."""

PROGRAMS = {".py", ".pyc", ".pyd", ".so", ".dll", ".exe", ".sh", ".bat", ".cmd", ".ps1", ".msi", ".jar", ".vbs", ".scr"}
"""Suffixes of what can be started."""

MODELS = {".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".pkl", ".onnx", ".gguf", ".zip", ".npz", ".npy"}
"""Suffixes of files that are nothing without their content."""

NAMES = {"license", "readme", "notice", ".gitattributes", ".gitignore", ".ds_store", "thumbs.db", "desktop.ini"}
"""Names of files that lie about in folders and that no loader opens."""

_MOST_TEXT = 64_000_000
_MOST_CONFIG = 1_000_000
_MOST_NODES = 100_000
_DEEPEST = 100
_PYTHON_TAG = "tag:yaml.org,2002:python/"
_KNOWN_TARGETS = re.compile(
    r"(?:ldm|sgm|cldm|annotator)(?:\.\w+)+|torch\.nn\.Identity|torch\.optim\.\w+\.LambdaLR"
    r"|modules\.models\.diffusion\.ddpm_edit\.(?:DDPM|LatentDiffusion|Layout2ImgDiffusion|DiffusionWrapper)"  # of A1111
    r"|modules\.(?:xlmr|xlmr_m18)\.BertSeriesModelWithTransformation|modules\.models\.sd3\.sd3_model\.SD3Inferencer"
)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")  # in GBK, Latin-1 and the like no more than in ASCII
_FOREIGN = {  # no file of safetensors begins like these
    "a picture of another kind": rb"BM.{4}\0{4}|.{4}ftyp(?:avi|hei|mif)"
    rb"|II\*\0(?!\0{4})|MM\0\*|8BPS|\0\0[\1\2]\0[\1-\x40]|\0{3}\x0cJXL ",
    "a video or sound": rb".{4}ftyp|\x1a\x45\xdf\xa3|OggS|ID3|fLaC|RIFF.{4}(?:AVI |WAVE)",
    "an ONNX network": rb"\x08[\1-\x20]\x12[\1-\x40][ -~]",
    "a GGUF model": rb"GGUF[\1-\x10]\0{3}",
    "a document": rb"%PDF-",
}
_NPY = b"\x93NUMPY"


def check_yaml(file: MappedFile) -> None:
    """Refuse a YAML file that names code: by a Python tag, or as the `target` of a configuration."""
    import yaml  # type: ignore[import-untyped]  # deferred: only scans of such files pay for it

    text = _text(file, _MOST_CONFIG)
    try:
        for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
            tag = getattr(event, "tag", None) or ""
            if tag.startswith(_PYTHON_TAG):
                raise UnsafeFileError(file.path, f"its tag {tag[:100]!r} makes a loader run code", tag[:100])
            if count > _MOST_NODES or (isinstance(event, yaml.AliasEvent) and count > _MOST_NODES // 100):
                raise file.malformed("has more nodes or references than any configuration needs")
        _check_targets(file, yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError) as error:
        raise file.malformed(f"is no YAML: {_first_line(error)}") from error


def _check_targets(file: MappedFile, value: object) -> None:
    """Refuse a `target` outside the classes of the original code bases: a loader imports and calls it."""
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if depth > _DEEPEST:
            raise file.malformed("is nested deeper than any configuration")
        if isinstance(each, dict):
            for key in ("target", "_target_"):
                named = each.get(key)
                if isinstance(named, str) and "." in named and not _KNOWN_TARGETS.fullmatch(named):
                    raise UnsafeFileError(file.path, f"its {key} {named[:100]!r} is no known class", named[:100])
            waiting += [(child, depth + 1) for child in each.values()]
        elif isinstance(each, list):
            waiting += [(child, depth + 1) for child in each]


def check_json(file: MappedFile) -> None:
    """Refuse what is no JSON."""
    try:
        json.loads(_text(file, _MOST_TEXT))
    except (ValueError, RecursionError) as error:
        raise file.malformed(f"is no JSON: {_first_line(error)}") from error


def check_toml(file: MappedFile) -> None:
    """Refuse what is no TOML."""
    import tomllib  # deferred: models are opened without

    try:
        tomllib.loads(_text(file, _MOST_CONFIG))
    except (ValueError, RecursionError) as error:
        raise file.malformed(f"is no TOML: {_first_line(error)}") from error


def check_text(file: MappedFile) -> None:
    """Refuse what is no text; people write it in many encodings."""
    content = _content(file, _MOST_TEXT)
    is_wide = content.startswith(_UTF16)
    try:
        str(content, "utf-16" if is_wide else "utf-8")
    except UnicodeDecodeError as error:
        if is_wide or _NO_TEXT.search(content):
            raise file.malformed(f"is no text: {error.reason} at byte {error.start}") from error


def foreign(path: Path, head: bytes) -> str | None:
    """Tell what a file is that begins like something else than a model, unless it calls itself a model of torch's."""
    if path.suffix.lower() in MODELS - {".onnx", ".gguf"}:
        return None
    return next((kind for kind, mark in _FOREIGN.items() if re.match(mark, head, re.DOTALL)), None)


def is_placeholder(path: Path) -> bool:
    """Tell whether a file is empty and should be, as `Put VAE here.txt` or a lock."""
    return os.path.isfile(path) and not os.path.getsize(path) and path.suffix.lower() not in MODELS


def is_companion(path: Path) -> bool:
    """Tell whether a file's name says that it is no model."""
    return path.suffix.lower() in CHECKS or path.name.lower() in NAMES


def check_array(file: MappedFile) -> None:
    """Refuse a numpy file of objects: those are pickles."""
    head = bytes(file.data[:1024])
    if not re.match(rb"\x93NUMPY[\1-\3]\0.{2,4}\{'descr': '[<>|=]?[biufc][0-9]+',", head, re.DOTALL):
        raise UnsafeFileError(file.path, "is an array of objects or records, which numpy loads as a pickle", "descr")


def is_array(head: bytes) -> bool:
    """Tell whether a file begins like a numpy array."""
    return head.startswith(_NPY)


def check_picture(file: MappedFile) -> None:
    """Refuse a picture that is broken, huge, or swells when its texts are read."""
    from PIL import Image

    try:
        with Image.open(file.stream()) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise file.malformed(f"has {picture.width}x{picture.height} pixels, more than any picture needs")
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise file.malformed(f"is a broken picture: {_first_line(error)}") from error


def _content(file: MappedFile, most: int) -> bytes:
    if file.size > most:
        raise file.malformed(f"has {file.size} bytes; such a text has {most} at most")
    return bytes(file.data[:])


def _text(file: MappedFile, most: int) -> str:
    try:
        return str(_content(file, most), "utf-8-sig")
    except UnicodeDecodeError as error:
        raise file.malformed(f"is no text: {error.reason} at byte {error.start}") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


CHECKS: dict[str, Callable[[MappedFile], None]] = {
    ".yaml": check_yaml,
    ".yml": check_yaml,
    ".json": check_json,
    ".info": check_json,  # of the Civitai helper
    ".toml": check_toml,
    **dict.fromkeys(TEXTS, check_text),
}
"""By suffix, how to tell that a file which is no model is in order."""


def check_other(file: MappedFile) -> None:
    """Check a file that is no model; what it is not known how to check is refused."""
    suffix = file.path.suffix.lower()
    if file.path.name.lower() in NAMES:
        return
    if suffix not in CHECKS:
        raise MalformedFileError(file.path, "is neither a model nor a known companion of one")
    CHECKS[suffix](file)
