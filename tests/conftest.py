"""Tests run side by side, each worker on its share of the cores, and know nothing of the user's own folders."""

import os
import tempfile

_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))  # before torch is loaded

for _name in [each for each in os.environ if each.startswith(("HF_", "CIVITAI_"))]:
    del os.environ[_name]  # whoever runs the tests may be offline, or have a token

_HOME = tempfile.TemporaryDirectory()
for _name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
    os.environ[_name] = os.path.join(_HOME.name, _name)
