"""Hand-made torch checkpoints: pickles written opcode by opcode, in zips as torch lays them."""

import io
import struct
import zipfile

GLOBAL = b"c%s\n%s\n"


def text(value):
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def name(module, qualified):
    return GLOBAL % (module.encode(), qualified.encode())


def number(value):
    return b"J" + struct.pack("<i", value)


def tensor(key="0", storage="FloatStorage", count=4, offset=0, shape=(4,), strides=(1,)):
    """Opcodes that rebuild a tensor."""
    identity = b"(" + text("storage") + name("torch", storage) + text(key) + text("cpu") + number(count) + b"tQ"
    sizes = [b"(" + b"".join(map(number, each)) + b"t" for each in (shape, strides)]
    hooks = name("collections", "OrderedDict") + b")R"
    arguments = identity + number(offset) + b"".join(sizes) + b"\x89" + hooks
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + b"tR"


def table(**values):
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def pickled(value):
    return b"\x80\x02" + value + b"."


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for each, content in members.items():
            archive.writestr(zipfile.ZipInfo(each), content, method)
    return buffer.getvalue()


def checkpoint(pickle, data=bytes(16), method=zipfile.ZIP_STORED, **more):
    """A whole checkpoint with one storage, `0`."""
    members = {"archive/data.pkl": pickle, "archive/data/0": data, "archive/version": b"3\n"}
    return zipped(members | {f"archive/{key}": value for key, value in more.items()}, method)
