"""The Settings that a picture's texts tell, whichever program wrote them."""

from collections.abc import Mapping

from PIL import Image

from pochade.generation.foreign import comfyui, easydiffusion, fooocus, invokeai, novelai, swarmui
from pochade.generation.foreign.texts import hidden_texts, texts_of
from pochade.generation.foreign.values import table
from pochade.generation.parameters.settings import Settings

_READERS = (swarmui.read, fooocus.read, novelai.read, invokeai.read, easydiffusion.read, comfyui.read)
_PLACES = ("parameters", "UserComment", "comment")  # of A1111's text


def settings_of(image: Image.Image) -> tuple[str, Settings]:
    """A1111's text block of an image, and what it or another program's texts tell; its pixels may hide them."""
    text, found = read_settings(texts_of(image))
    if not text and not found.program:
        text, found = read_settings(hidden_texts(image))
    sized = novelai.with_size(found, *image.size)
    return (text, found) if sized is found else (sized.text, sized)


def read_settings(texts: Mapping[str, str]) -> tuple[str, Settings]:
    """A1111's text block, and what it or the texts of another program tell; both are empty where nothing is told.

    Where a program writes A1111's text beside its own, that text counts.
    """
    text = next((texts[place] for place in _PLACES if texts.get(place)), "")
    own = Settings.of_text(text)
    if own.parameters and not table(text):
        return text, fooocus.in_a1111s_words(own)
    for read in _READERS:
        if found := read(texts):
            return found.text, found
    return text, own
