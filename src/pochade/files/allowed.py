"""The allow-list: every name that a weights pickle may hold, and what Pochade makes of it.

Names are compared whole, module and qualified name; nothing is looked up, split or imported. Four sorts are known:
storages and the functions that rebuild tensors on them; plain containers; number formats; and classes that training
programs leave beside the weights, which become passive stubs.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pochade.errors import UnsafeFileError
from pochade.files.dtypes import TORCH_DTYPES, TORCH_STORAGES, checked_bytes, size_of
from pochade.files.pickles import Known, Stub, checked_key
from pochade.files.weights import Array, LazyArray, TensorInfo


@dataclass(frozen=True, eq=False)
class StorageType:
    """A torch storage class; one that is untyped has no dtype."""

    dtype: str | None


@dataclass(frozen=True, eq=False)
class NumberFormat:
    """A torch dtype."""

    dtype: str


@dataclass(frozen=True, eq=False)
class Storage:
    """A run of bytes in a file; `look(info, offset, strides)` returns an array on it, measured in bytes.

    `blocks(dtype, offset, nbytes)` reads what lies in a row, where the file can be read in pieces.
    """

    dtype: str | None
    nbytes: int
    look: Callable[[TensorInfo, int, tuple[int, ...]], Array]
    blocks: Callable[[str, int, int], Iterator[Array]] | None = None


def rebuilt(
    storage: object, offset: object, shape: object, strides: object, *_: object, dtype: str | None = None
) -> LazyArray:
    """Check a view of a storage, counted in numbers, and return it as a lazy array."""
    if (
        not isinstance(storage, Storage)
        or not isinstance(shape, (tuple, list))
        or not isinstance(strides, (tuple, list))
    ):
        raise TypeError("a tensor without storage, shape or strides")
    kind = dtype or storage.dtype
    if kind is None:
        raise ValueError("a tensor without number type")
    if type(offset) is not int or len(shape) != len(strides) or any(_is_no_count(each) for each in (*strides, offset)):
        raise ValueError("a tensor with impossible strides")
    info = TensorInfo(kind, tuple(shape))
    needed = checked_bytes(kind, info.shape)
    item = size_of(kind)
    last = offset + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True))
    if needed and ((last + 1) * item > storage.nbytes or needed > storage.nbytes):
        raise ValueError("a tensor that reaches beyond its storage")
    look = partial(storage.look, info, offset * item, tuple(each * item for each in strides))
    if not needed or storage.blocks is None or tuple(strides) != _strides_in_a_row(info.shape):
        return LazyArray(info, look)
    return LazyArray(info, look, partial(storage.blocks, kind, offset * item, needed))


def _strides_in_a_row(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _is_no_count(value: object) -> bool:
    return type(value) is not int or value < 0


def _tensor_of_format(*arguments: object) -> LazyArray:
    """The third form of a tensor: an untyped storage, and the number format at the seventh place."""
    if len(arguments) < 7 or not isinstance(arguments[6], NumberFormat):
        raise TypeError("a tensor without number type")
    return rebuilt(*arguments[:4], dtype=arguments[6].dtype)


def _parameter(data: object, *_: object) -> LazyArray:
    if not isinstance(data, LazyArray):
        raise TypeError("a parameter without a tensor")
    return data


def _tensor_of_class(function: object, _class: object, arguments: tuple[Any, ...], _state: object) -> object:
    """A tensor with attributes: the tensor is what counts."""
    if not isinstance(function, Known) or function.make not in (rebuilt, _tensor_of_format):
        raise TypeError("a tensor rebuilt in an unknown way")
    return function.make(*arguments)


def _ordered(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    return {checked_key(key): value for key, value in pairs}


def _with_default(_factory: object = None, pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    return _ordered(pairs.items() if isinstance(pairs, dict) else pairs)


def _set(values: Iterable[Any] = ()) -> set[Any]:
    return {checked_key(each) for each in values}


def _sequence(values: list[Any] | tuple[Any, ...] = ()) -> tuple[Any, ...]:
    return tuple(values)


def _encoded(text: object, encoding: object = "latin1") -> bytes:
    """`_codecs.encode`, by which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in an unknown encoding")
    return text.encode("latin-1")


def _byte_string(values: bytes | list[int] = b"") -> bytes:
    if not isinstance(values, (bytes, list, tuple)):
        raise TypeError("bytes made of something else")
    return bytes(values)


_REBUILDERS: dict[str, Callable[..., object]] = {
    "torch._utils _rebuild_tensor": rebuilt,
    "torch._utils _rebuild_tensor_v2": rebuilt,
    "torch._utils _rebuild_tensor_v3": _tensor_of_format,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter Parameter": _parameter,
    "torch Tensor": _parameter,
    "torch._tensor _rebuild_from_type_v2": _tensor_of_class,
}
_CONTAINERS: dict[str, Callable[..., object]] = {
    "collections OrderedDict": _ordered,
    "collections defaultdict": _with_default,
    "collections deque": _sequence,
    "torch Size": _sequence,
    "_codecs encode": _encoded,
    **{f"{module} {name}": make for module in ("builtins", "__builtin__") for name, make in (
        ("set", _set), ("frozenset", _set), ("list", list), ("tuple", _sequence), ("dict", _with_default),
        ("bytearray", _byte_string), ("bytes", _byte_string),
    )},
}  # fmt: skip
_INERT = """
builtins: int float str bool complex object slice range
__builtin__: int float str bool unicode long complex object slice range xrange
collections: Counter
types: SimpleNamespace
uuid: UUID
typing: Any
argparse: Namespace
pathlib: Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath
datetime: datetime date time timedelta
torch.torch_version: TorchVersion
torch.serialization: _get_layout
torch._utils: _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage
torch: device Generator memory_format contiguous_format strided
torch: DoubleTensor FloatTensor HalfTensor BFloat16Tensor
torch: LongTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor
torch.nn.modules.container: ParameterDict ParameterList Sequential ModuleList ModuleDict
torch.nn.modules.conv: Conv1d Conv2d Conv3d ConvTranspose2d
torch.nn.modules.linear: Linear Identity
torch.nn.modules.batchnorm: BatchNorm1d BatchNorm2d
torch.nn.modules.normalization: LayerNorm GroupNorm
torch.nn.modules.sparse: Embedding
torch.nn.modules.activation: ReLU ReLU6 LeakyReLU PReLU GELU SiLU Mish Softplus Sigmoid Tanh ELU Hardswish Softmax
torch.nn.modules.activation: MultiheadAttention
torch.nn.modules.loss: BCEWithLogitsLoss CrossEntropyLoss L1Loss MSELoss SmoothL1Loss
torch.nn.modules.dropout: Dropout Dropout2d
torch.nn.modules.pooling: AvgPool2d MaxPool2d AdaptiveAvgPool2d
torch.nn.modules.upsampling: Upsample UpsamplingNearest2d
torch.nn.modules.pixelshuffle: PixelShuffle PixelUnshuffle
numpy: dtype ndarray float64 float32 int64 int32 bool_
numpy.core.multiarray: scalar _reconstruct
numpy._core.multiarray: scalar _reconstruct
numpy.core.numeric: _frombuffer
numpy._core.numeric: _frombuffer
omegaconf.dictconfig: DictConfig
omegaconf.listconfig: ListConfig
omegaconf.base: ContainerMetadata Metadata
omegaconf.nodes: AnyNode StringNode IntegerNode FloatNode BooleanNode
lightning_fabric.utilities.data: AttributeDict
lightning.fabric.utilities.data: AttributeDict
"""
_OF_LIGHTNING = """
callbacks.model_checkpoint: ModelCheckpoint
callbacks.early_stopping: EarlyStopping
callbacks.lr_monitor: LearningRateMonitor
callbacks.timer: Timer
callbacks.model_summary: ModelSummary
callbacks.rich_model_summary: RichModelSummary
callbacks.progress: ProgressBar TQDMProgressBar RichProgressBar
callbacks.progress.base: ProgressBarBase
callbacks.progress.progress_bar: ProgressBar
callbacks.progress.tqdm_progress: TQDMProgressBar
callbacks.progress.rich_progress: RichProgressBar
callbacks.device_stats_monitor: DeviceStatsMonitor
utilities.parsing: AttributeDict
"""
_NETWORKS = """
ultralytics.nn.tasks: DetectionModel SegmentationModel PoseModel ClassificationModel OBBModel
ultralytics.nn.modules: Conv DWConv ConvTranspose Concat C2f C3 Bottleneck SPPF DFL Proto Detect Segment Pose Classify
ultralytics.nn.modules.conv: Conv DWConv ConvTranspose Concat
ultralytics.nn.modules.block: C2f C3 C3k C3k2 C2PSA PSA PSABlock Attention Bottleneck SPPF SCDown DFL Proto
ultralytics.nn.modules.head: Detect Segment Pose Classify OBB
ultralytics.utils: IterableSimpleNamespace
ultralytics.yolo.utils: IterableSimpleNamespace
"""
_LIGHTNINGS = ("pytorch_lightning", "lightning.pytorch")


def _stub(name: str) -> Known:
    return Known(name, lambda *arguments: Stub(name, arguments))


def _bare(name: str) -> Callable[[], Stub]:
    return lambda: Stub(name)


def _table() -> dict[str, object]:
    table: dict[str, object] = {f"torch {name}": StorageType(dtype) for name, dtype in TORCH_STORAGES.items()}
    table |= {f"torch.storage {name}": StorageType(None) for name in ("UntypedStorage", "_UntypedStorage")}
    table |= {f"torch {name}": NumberFormat(dtype) for name, dtype in TORCH_DTYPES.items()}
    table |= {name: Known(name, make) for name, make in {**_REBUILDERS, **_CONTAINERS}.items()}
    lightning = [f"{root}.{line}" for root in _LIGHTNINGS for line in _OF_LIGHTNING.strip().splitlines()]
    return table | {name: _stub(name) for name in _names([*_INERT.strip().splitlines(), *lightning])}


def _names(lines: Iterable[str]) -> Iterator[str]:
    """Yield `module name` of every name in lines of `module: name name …`."""
    for line in lines:
        module, _, names = line.partition(":")
        yield from (f"{module} {each}" for each in names.split())


ALLOWED = _table()
"""From `module name`, one space between, to what stands for it."""

NETWORKS = {name: Known(name, _bare(name)) for name in _names(_NETWORKS.strip().splitlines())}
"""Classes of other programs' networks. Pickles make them without arguments; made so, they do nothing."""


def resolver(path: Path, known: Mapping[str, object] = ALLOWED) -> Callable[[str, str], object]:
    """Return the function that answers a pickle's names, or refuses those that are not known."""

    def resolve(module: str, name: str) -> object:
        if " " in module or " " in name or f"{module} {name}" not in known:
            shown = f"{module}.{name}"[:200]
            raise UnsafeFileError(path, f"its pickle names {shown!r}, which no weights need", shown)
        return known[f"{module} {name}"]

    return resolve
