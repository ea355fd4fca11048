import hashlib
import os
import ssl

import numpy as np
import pytest

from pochade import files
from pochade.events import Made, Warned
from pochade.library.downloads import Order, downloading
from pochade.library.downloads.patience import Patience

from .server import Site


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing of this machine's own settings, caches and tokens takes part."""
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    proxies = [name for name in os.environ if name.lower().endswith("_proxy")]
    for name in ("HF_ENDPOINT", "CIVITAI_ENDPOINT", "CIVITAI_TOKEN", "CIVITAI_API_TOKEN", "CIVITAI_API_KEY", *proxies):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("os.fsync", lambda _: None)  # no test cuts the power
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nor does one speak https: reading all certificates takes time
    monkeypatch.setattr("ssl.create_default_context", lambda *_, **__: bare)
    return tmp_path / "home"


@pytest.fixture
def site():
    server = Site()
    yield server
    server.close()


@pytest.fixture
def other_site():
    server = Site()
    yield server
    server.close()


@pytest.fixture
def lora(tmp_path):
    """The bytes of a LoRA, large enough to be torn apart."""
    return content(tmp_path, {"lora_unet_x.lora_down.weight": (4, 20_000), "lora_unet_x.lora_up.weight": (20_000, 4)})


@pytest.fixture
def embedding(tmp_path):
    return content(tmp_path, {"emb_params": (2, 768)})


def content(folder, shapes):
    numbers = np.random.default_rng(1)
    tensors = {name: numbers.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    path = files.save(folder / "content.safetensors", tensors)
    found = path.read_bytes()
    path.unlink()
    return found


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def run(tmp_path):
    """Download into tmp_path/here: what was made, and what was told on the way."""
    (tmp_path / "here").mkdir()

    def run(source, **options):
        options = {"to": tmp_path / "here", "patience": Patience(pause=0.01)} | options
        events = list(downloading(source, Order(**options)))
        (made,) = [each.result for each in events if isinstance(each, Made)]
        return made, [each.message for each in events if isinstance(each, Warned)]

    return run


@pytest.fixture
def here(tmp_path):
    """The names in the folder that downloads go to."""
    return lambda: sorted(str(each.relative_to(tmp_path / "here")) for each in (tmp_path / "here").rglob("*"))
