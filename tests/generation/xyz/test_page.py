import re
from html.parser import HTMLParser

from pochade import Request
from pochade.generation.xyz.page import Shown, page
from pochade.generation.xyz.plot import Plot

EVIL = "<script>alert('1')</script>\"&"
VOID = {"meta", "img", "input"}


class Reader(HTMLParser):
    """Reads a page and refuses tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attrs for name, attrs in self.seen if name == tag]


def made(plot, reasons=None):
    names = {cell.name for cell in plot.cells} - set(reasons or {})
    pictures = {name: [Shown(f"cells/{name}.png", (64, 32), f"{EVIL}\nSteps: 1")] for name in names}
    return page(plot, pictures, reasons or {})


def test_the_page_has_every_cell_with_its_labels():
    plot = Plot.of(Request("a cat"), "Steps=1-3", "cfg=1,2", "clip_skip=1,2")
    text = made(plot)
    found = Reader(text)
    assert [attrs["src"] for attrs in found.all("img") if "src" in attrs] == [
        f"cells/{cell.name}.png" for cell in plot.cells
    ]
    heads = [data for tag, data in found.texts if tag == "th"]
    assert heads == ["Steps: 1", "Steps: 2", "Steps: 3", "CFG Scale: 1.0", "CFG Scale: 2.0"] * 2
    assert [data for tag, data in found.texts if tag == "h2"] == ["Clip skip: 1", "Clip skip: 2"]
    assert found.all("a")[1]["title"] == "Steps: 2, CFG Scale: 1.0, Clip skip: 1"


def test_everything_from_a_request_is_escaped():
    plot = Plot.of(Request(f"a {EVIL}"), f'Prompt S/R=a,"{EVIL.replace(chr(34), chr(34) * 2)}"', "Steps=1,2")
    text = made(plot, {plot.cells[0].name: f"{EVIL} cannot be"})
    found = Reader(text)
    assert len(found.all("script")) == 1
    assert text.count("<script>") == 1
    assert f"a {EVIL}" in [data for tag, data in found.texts if tag == "title"]
    assert f"{EVIL} cannot be" in [data for tag, data in found.texts if tag == "p"]
    assert any(data == f"{EVIL}\nSteps: 1" for tag, data in found.texts if tag == "pre")


def test_the_page_needs_no_network_and_no_other_file():
    text = made(Plot.of(Request("a"), "Steps=1,2"))
    assert not re.search(r"https?:|url\(|@import|\b(?:fetch|XMLHttpRequest|import)\b", text)
    found = Reader(text)
    assert not found.all("link")
    assert all("src" not in attrs for attrs in found.all("script"))
    assert "$" not in text


def test_a_page_fits_light_and_dark_and_keys():
    text = made(Plot.of(Request("a"), "Steps=1,2"))
    assert "prefers-color-scheme: dark" in text
    assert all(key in text for key in ("ArrowLeft", "ArrowDown", '"+"', "showModal"))


def test_several_pictures_of_a_cell_are_all_there():
    plot = Plot.of(Request("a", count=2), "Steps=1,2")
    pictures = {cell.name: [Shown(f"cells/{cell.name}-{n}.png", (8, 8), "") for n in (1, 2)] for cell in plot.cells}
    assert len(Reader(page(plot, pictures, {})).all("a")) == 4
