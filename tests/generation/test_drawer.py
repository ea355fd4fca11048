import pytest

from pochade import Request
from pochade.errors import ResourceError
from pochade.generation.drawer import Drawer


class Pretended:
    def run(self, request, inputs=None):
        yield request.steps


def test_a_model_is_loaded_when_a_request_needs_another(monkeypatch):
    loaded = []

    def load(request, folders):
        loaded.append((request.model, request.vae))
        if request.model == "broken":
            raise ResourceError("Memory ran out.")
        return Pretended()

    monkeypatch.setattr("pochade.generation.drawer.pipeline_for", load)
    drawer = Drawer()
    assert [*drawer.run(Request("a", steps=1)), *drawer.run(Request("b", steps=2))] == [1, 2]
    with pytest.raises(ResourceError):
        list(drawer.run(Request("a", model="broken")))
    assert list(drawer.run(Request("a", steps=3, vae="soft"))) == [3]
    assert list(drawer.run(Request("a", steps=4))) == [4]
    assert loaded == [("", ""), ("broken", ""), ("", "soft"), ("", "")]


def test_a_file_that_has_changed_is_loaded_anew(monkeypatch, tmp_path):
    loaded = []
    monkeypatch.setattr("pochade.generation.drawer.pipeline_for", lambda *_: loaded.append(1) or Pretended())
    (tmp_path / "a.ckpt").write_bytes(b"a")
    drawer, request = Drawer(), Request("a", model=str(tmp_path / "a.ckpt"))
    for content in (b"a", b"longer"):
        (tmp_path / "a.ckpt").write_bytes(content)
        list(drawer.run(request))
        list(drawer.run(request))
    assert len(loaded) == 2
    drawer.release()
    list(drawer.run(request))
    assert len(loaded) == 3
