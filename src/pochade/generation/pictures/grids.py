"""Grids: many pictures on one sheet, with a legend above the columns and beside the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image, ImageDraw

from pochade.errors import UsageError
from pochade.generation.pictures.fonts import Font, face_for, font
from pochade.prompts.matrix import Matrix, choice

MOST_PIXELS = 200_000_000
_PAPER, _INK, _FAINT, _CARD = "white", "black", "#999999", "#eeeeee"
_LETTERS_ACROSS = 25  # of both sides of a picture; A1111's size of letters
_SMALLEST_LETTERS = 10
_LEGEND_SHARE = 3, 4  # width of the legend beside the rows, in parts of a picture


@dataclass(frozen=True)
class Label:
    """One entry of a legend; what is off is grey and struck out."""

    text: str
    on: bool = True


Legend = Sequence[Sequence[Label]]
"""The labels of each column, or of each row."""


@dataclass(frozen=True)
class _Pen:
    """Writes labels that are as wide as `width` at most, in letters of one size, of a font's file or Pillow's own."""

    letters: int
    width: int
    face: Path | None = None

    @cached_property
    def font(self) -> Font:
        return font(self.letters, self.face)

    @property
    def gap(self) -> int:
        """Pixels between labels."""
        return self.letters // 2

    def height(self, labels: Sequence[Label]) -> int:
        """Pixels that labels take, one below the other."""
        lines = sum(len(self._lines(label.text)) for label in labels)
        return lines * self.letters + max(len(labels) - 1, 0) * self.gap

    def is_too_wide(self, legend: Legend) -> bool:
        """Whether a word of a legend does not fit in."""
        words = [word for labels in legend for label in labels for word in label.text.split()]
        return any(self._length(word) > self.width for word in words)

    def write(self, sheet: Image.Image, labels: Sequence[Label], middle: tuple[int, int]) -> None:
        """Write labels around a point."""
        draw = ImageDraw.Draw(sheet)
        x, y = middle[0], middle[1] - self.height(labels) // 2
        for label in labels:
            ink = _INK if label.on else _FAINT
            for line in self._lines(label.text):
                centre = y + self.letters // 2
                draw.text((x, centre), line, ink, self.font, anchor="mm")
                if not label.on:
                    half = self._length(line) / 2
                    draw.line((x - half, centre, x + half, centre), ink, max(self.letters // 12, 1))
                y += self.letters
            y += self.gap

    def _length(self, text: str) -> float:
        return self.font.getlength(text)

    def _lines(self, text: str) -> list[str]:
        """A text broken between its words, and inside of one that is too wide by itself."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if self._length(longer) <= self.width:
                lines[-1] = longer
            else:
                lines += self._pieces(word)
        return [line for line in lines if line]

    def _pieces(self, word: str) -> list[str]:
        pieces = [""]
        for letter in word:
            if pieces[-1] and self._length(pieces[-1] + letter) > self.width:
                pieces.append("")
            pieces[-1] += letter
        return pieces


@dataclass(frozen=True)
class Layout:
    """How many rows a grid has, the labels above its columns and beside its rows, and pixels between its places.

    Letters of the labels are `letters` pixels high at most, in proportion to the pictures if not given.
    """

    rows: int
    across: Legend = ()
    down: Legend = ()
    margin: int = 0
    letters: int | None = None

    @classmethod
    def of(cls, matrix: Matrix, margin: int = 0) -> "Layout":
        """How the pictures of a prompt matrix lie, in the order of its prompts."""
        return cls(1 << len(matrix.down), _choices(matrix.across), _choices(matrix.down), margin)


def grid(images: Sequence[Image.Image], layout: Layout) -> Image.Image:
    """Pictures on one sheet, row by row. Smaller ones lie in the middle of their places.

    Raises UsageError for a sheet of more than 200 million pixels.
    """
    rows, across, down, margin = layout.rows, layout.across, layout.down, layout.margin
    columns = -(-len(images) // rows)
    width, height = (max(side) for side in zip(*(image.size for image in images), strict=True))
    largest = layout.letters or letters_for(width, height)
    above, beside = _pen(across, width, height, largest), _pen(down, _side(width), height, largest)
    left = _side(width) if any(down) else 0
    top = max(map(above.height, across), default=0) + 2 * above.gap if any(across) else 0
    sheet = _sheet(left + columns * (width + margin) - margin, top + rows * (height + margin) - margin)
    places = [
        (left + column * (width + margin), top + row * (height + margin))
        for row in range(rows)
        for column in range(columns)
    ]
    for image, (x, y) in zip(images, places, strict=False):
        sheet.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
    for (x, _), labels in zip(places, across, strict=False):
        above.write(sheet, labels, (x + width // 2, top // 2))
    for (_, y), labels in zip(places[::columns], down, strict=False):
        beside.write(sheet, labels, (left // 2, y + height // 2))
    return sheet


def card(size: tuple[int, int], text: str) -> Image.Image:
    """What lies in the place of a picture that is missing, and says why."""
    sheet = Image.new("RGB", size, _CARD)
    labels = [Label(text)]
    pen = _pen([labels], size[0], size[1], letters_for(*size))
    pen.write(sheet, labels, (size[0] // 2, size[1] // 2))
    return sheet


def _choices(options: Sequence[str]) -> Legend:
    if not options:
        return ()
    return [
        [Label(text, on) for text, on in zip(options, choice(number, len(options)), strict=True)]
        for number in range(1 << len(options))
    ]


def _side(width: int) -> int:
    part, parts = _LEGEND_SHARE
    return width * part // parts


def letters_for(width: int, height: int) -> int:
    """The height of letters that suits pictures of a size, as A1111 has it."""
    return max((width + height) // _LETTERS_ACROSS, _SMALLEST_LETTERS)


def _pen(legend: Legend, room: int, height: int, largest: int) -> _Pen:
    """Letters of this size, or smaller ones where a legend would not fit into a width and a height.

    If need be, words are broken.
    """
    room = room * 19 // 20  # neighbours keep apart
    face = face_for("".join(label.text for labels in legend for label in labels))
    pens = [_Pen(letters, room, face) for letters in range(largest, _SMALLEST_LETTERS - 1, -1)]
    low = [pen for pen in pens if max(map(pen.height, legend), default=0) <= height]
    return next((pen for pen in low if not pen.is_too_wide(legend)), low[0] if low else pens[-1])


def _sheet(width: int, height: int) -> Image.Image:
    if width * height > MOST_PIXELS:
        raise UsageError(
            f"The grid would be {width}x{height}, more than {MOST_PIXELS // 1_000_000} million pixels; "
            "draw fewer or smaller pictures, or leave the grid out."
        )
    return Image.new("RGB", (width, height), _PAPER)
