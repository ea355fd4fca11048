import pytest

from pochade.errors import UsageError
from pochade.library.downloads.sources import CivitaiSource, HubSource, WebSource, parse, site_of

CIVITAI = "https://civitai.com"
HUB = "https://huggingface.co"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("me/model", HubSource("me/model")),
        ("hf:me/model", HubSource("me/model")),
        ("hf:me/model/vae/a.b.safetensors@v1.0", HubSource("me/model", "vae/a.b.safetensors", "v1.0")),
        ("hf:me/model@refs/pr/1", HubSource("me/model", "", "refs/pr/1")),
        ("hf://me/model/a.ckpt", HubSource("me/model", "a.ckpt")),
        (f"{HUB}/me/model", HubSource("me/model")),
        (f"{HUB}/me/model/blob/main/vae/a%20b.ckpt", HubSource("me/model", "vae/a b.ckpt", "main")),
        (f"{HUB}/me/model/resolve/refs%2Fpr%2F1/a.ckpt?download=true", HubSource("me/model", "a.ckpt", "refs/pr/1")),
        (f"{HUB}/me/model/tree/main/vae", HubSource("me/model", "vae", "main")),
        ("https://hf.co/me/model", HubSource("me/model")),
        ("civitai:12", CivitaiSource(12)),
        ("civitai:12@34", CivitaiSource(12, 34)),
        ("civitai:@34", CivitaiSource(None, 34)),
        ("civitai:hash:abcdef0123", CivitaiSource(digest="ABCDEF0123")),
        ("urn:air:sdxl:checkpoint:civitai:12@34", CivitaiSource(12, 34)),
        ("urn:air:sd1:lora:civitai:12", CivitaiSource(12)),
        (
            "air:sd1:lora:civitai:12@34+56.safetensor",
            CivitaiSource(12, 34, file=56, wanted=(("format", "safetensor"),)),
        ),
        ("urn:air:sdxl:checkpoint:huggingface:me/model@main", HubSource("me/model", "", "main")),
        ("urn:air:sdxl:checkpoint:huggingface:me/model-v1.5", HubSource("me/model-v1.5")),
        (f"{CIVITAI}/models/12/some-name?modelVersionId=34", CivitaiSource(12, 34)),
        (f"{CIVITAI}/models/12", CivitaiSource(12)),
        (f"{CIVITAI}/model-versions/34", CivitaiSource(None, 34)),
        (
            f"{CIVITAI}/api/download/models/34?type=Model&format=PickleTensor&size=full&fp=fp32&token=x",
            CivitaiSource(
                version=34,
                wanted=(("precision", "fp32"), ("extent", "full"), ("format", "PickleTensor"), ("type", "Model")),
                token="x",
            ),
        ),
        ("https://example.org/a.ckpt", WebSource("https://example.org/a.ckpt")),
        ("https://notcivitai.com/models/12", WebSource("https://notcivitai.com/models/12")),
        ("https://civitai.com.evil.org/models/12", WebSource("https://civitai.com.evil.org/models/12")),
        ("https://huggingface.co@evil.org/me/model", WebSource("https://huggingface.co@evil.org/me/model")),
    ],
)
def test_each_form_is_understood(text, source, monkeypatch):
    for name in ("HF_ENDPOINT", "CIVITAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert parse(text) == source


@pytest.mark.parametrize("source", [HubSource("me/model", "a/b.ckpt", "v1"), CivitaiSource(12, 34), CivitaiSource(12)])
def test_what_is_shown_can_be_typed_again(source):
    assert parse(source.shown) == source


def test_pages_of_mirrors_are_pages_of_their_sites(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.lan:81/")
    monkeypatch.setenv("CIVITAI_ENDPOINT", "http://models.lan")
    assert parse("http://hub.lan:81/me/model/blob/main/a.ckpt") == HubSource("me/model", "a.ckpt", "main")
    assert parse("http://models.lan/models/12") == CivitaiSource(12)
    assert [site_of(parse(text)) for text in ("me/a", "civitai:1", "http://x.lan/a")] == [
        "huggingface",
        "civitai",
        "web",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "model", "hf:model", "hf:me/../../etc", "civitai:x", "civitai:hash:xyz", "urn:air:a:b:elsewhere:1", "a/b c@"],
)
def test_what_names_nothing_is_told(text):
    with pytest.raises(UsageError, match=r"names nothing to download; give hf:ORG/REPO/FILE"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://", "is no web address"),
        ("http://[::1", "is no web address"),
        ("https://a:99999/", "is no web address"),
        (f"{HUB}/datasets/me/data", "is none of Hugging Face's models"),
        (f"{HUB}/me/model/discussions/1", "is no page of a model"),
        (f"{CIVITAI}/images/1", "is no page of a model"),
    ],
)
def test_pages_of_something_else_are_told(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        parse(text)


@pytest.mark.parametrize("text", ["ftp://me:secret@host/a?token=secret", "http://me:secret@[::1?secret", "secret@host"])
def test_what_may_be_a_password_is_not_repeated(text):
    with pytest.raises(UsageError) as told:
        parse(text)
    assert "secret" not in str(told.value)


def test_secrets_are_in_no_text_of_a_source():
    sources = [parse("https://me:secret@a.org/b?c=secret"), parse(f"{CIVITAI}/models/1?token=secret")]
    assert not any("secret" in text for each in sources for text in (repr(each), each.shown))
