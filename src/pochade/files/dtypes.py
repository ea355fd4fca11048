"""Names of number formats, as safetensors spells them, and what numpy and torch call them."""

import numpy as np

from pochade.errors import UsageError

_NUMPY = {
    "F64": "float64", "F32": "float32", "F16": "float16", "C64": "complex64", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
}  # fmt: skip
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_BY_NUMPY_NAME = {written: name for name, written in {**_NUMPY, **_ML_DTYPES}.items()}
_SIZES = {
    name: 8 if name.endswith("64") else 4 if name.endswith("32") else 2 if name.endswith("16") else 1
    for name in [*_NUMPY, *_ML_DTYPES]
}
_MOST_DIMENSIONS = 64  # numpy's limit
_MOST_BYTES = 1 << 62

TORCH_DTYPES = dict(_BY_NUMPY_NAME)
"""torch's dtype names, e.g. `float16`; they are numpy's."""

TORCH_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL", "ComplexFloatStorage": "C64",
}  # fmt: skip


def numpy_dtype(name: str) -> np.dtype[np.generic]:
    """Return the numpy dtype of a name such as `BF16`."""
    if name in _NUMPY:
        return np.dtype(_NUMPY[name])
    import ml_dtypes  # only files that hold these formats pay for it

    found: np.dtype[np.generic] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[name]))
    return found


def dtype_name(dtype: np.dtype[np.generic]) -> str:
    """Return the name of a numpy dtype; UsageError for one that no model file can hold."""
    if dtype.name not in _BY_NUMPY_NAME:
        raise UsageError(f"Numbers of type {dtype} cannot be stored in a model file")
    return _BY_NUMPY_NAME[dtype.name]


def size_of(name: str) -> int:
    """Return the bytes of one number; ValueError for an unknown name."""
    if name not in _SIZES:
        raise ValueError(f"unknown number type {name[:40]!r}")
    return _SIZES[name]


def checked_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the bytes of an array; ValueError when no array can have that shape."""
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError("an impossible shape")
    needed = without_zeros = size_of(dtype)
    for side in shape:
        if type(side) is not int or side < 0:
            raise ValueError("an impossible shape")
        needed *= side
        without_zeros *= side or 1
    if without_zeros >= _MOST_BYTES:
        raise ValueError("an impossible shape")
    return needed
