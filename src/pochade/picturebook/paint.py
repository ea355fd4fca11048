"""Painting a scene: flat shapes, three times oversampled, in a few milliseconds."""

from collections.abc import Iterable
from functools import cache

from PIL import Image, ImageDraw, ImageFilter

from .objects import OBJECTS, Point, Shape
from .palette import BACKGROUNDS, COLOURS, HORIZON, RGB, SIZE, shade
from .scene import Scene, Thing

_FINE = 3  # oversampling
_BLOCKS = 32  # blocks per side in the pixel style
_STROKE = 4.5  # width of the outline style's line, in pixels
_SOFTNESS = 2.5  # blur of the soft style's edges, in pixels
_MARGIN = 8
_FIXED: dict[str, RGB] = {
    "ink": (40, 34, 48),
    "light": (255, 250, 235),
    "wood": (120, 75, 45),
    "leaf": (40, 125, 45),
    "tyre": (64, 60, 72),
    "stalk": (214, 176, 132),
}


def paint(scene: Scene) -> Image.Image:
    """The picture of a scene, 128 x 128, RGB; the same scene always gives the same pixels."""
    if scene.style == "pixel":
        return _paint_blocks(scene)
    picture = backdrop(scene.background).copy()
    for thing in scene.things:
        sprite, mask, corner = _sprite(thing, scene.style)
        sprite, mask = sprite.reduce(_FINE), mask.reduce(_FINE)
        if scene.style == "soft":
            blur = ImageFilter.GaussianBlur(_SOFTNESS)
            sprite, mask = sprite.filter(blur), mask.filter(blur)
        picture.paste(sprite, corner, mask)
    return picture


@cache
def backdrop(name: str) -> Image.Image:
    """The empty picture of a background."""
    background = BACKGROUNDS[name]
    canvas = Image.new("RGB", (SIZE * _FINE, SIZE * _FINE), background.sky)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, HORIZON * _FINE, SIZE * _FINE, SIZE * _FINE), background.ground)
    for x, y in background.stars:
        draw.ellipse([(c + r * 1.6) * _FINE for r in (-1, 1) for c in (x, y)], background.star_tone)
    return canvas.reduce(_FINE)


def _paint_blocks(scene: Scene) -> Image.Image:
    canvas = backdrop(scene.background).resize((SIZE * _FINE, SIZE * _FINE), Image.Resampling.NEAREST)
    for thing in scene.things:
        sprite, mask, (left, top) = _sprite(thing, "flat")
        canvas.paste(sprite, (left * _FINE, top * _FINE), mask)
    small = canvas.resize((_BLOCKS, _BLOCKS), Image.Resampling.NEAREST)
    return small.resize((SIZE, SIZE), Image.Resampling.NEAREST)


def _sprite(thing: Thing, style: str) -> tuple[Image.Image, Image.Image, tuple[int, int]]:
    """A thing's oversampled colours, its mask, and its top left corner in the picture."""
    reach = thing.size // 2 + _MARGIN
    side = 2 * reach * _FINE
    fill = COLOURS[thing.colour]
    sprite, mask = Image.new("RGB", (side, side), fill), Image.new("L", (side, side), 0)
    if style == "outline":
        _Pencil((thing.size / 2 - _STROKE) * _FINE, reach * _FINE).outline(mask, OBJECTS[thing.object])
    else:
        _Pencil(thing.size / 2 * _FINE, reach * _FINE).colour(sprite, mask, OBJECTS[thing.object], fill)
    return sprite, mask, (thing.x - reach, thing.y - reach)


class _Pencil:
    """Draws shapes given in units of half a box around a centre."""

    def __init__(self, unit: float, centre: float) -> None:
        self.unit = unit
        self.centre = centre

    def colour(self, sprite: Image.Image, mask: Image.Image, shapes: Iterable[Shape], fill: RGB) -> None:
        """Flat areas in their tones; the mask covers all of them."""
        colours, cover = ImageDraw.Draw(sprite), ImageDraw.Draw(mask)
        for shape in shapes:
            self._fill(colours, shape, _tone(shape.tone, fill))
            self._fill(cover, shape, 255)

    def outline(self, mask: Image.Image, shapes: Iterable[Shape]) -> None:
        """The silhouette as one thick line, lines as lines, and dark details."""
        shapes = tuple(shapes)
        cover = ImageDraw.Draw(mask)
        stroke = round(_STROKE * _FINE)
        areas = [shape for shape in shapes if not shape.detail and not shape.width]
        for shape in shapes:
            if shape.width and not shape.detail:
                cover.line(self._place(shape.points), 255, stroke, joint="curve")
        for shape in areas:
            edge = self._place((*shape.points, *shape.points[:2]))
            cover.line(edge, 255, 2 * stroke, joint="curve")
        for shape in areas:
            cover.polygon(self._place(shape.points), 0)
        for shape in shapes:
            if shape.detail and shape.tone == "ink":
                self._fill(cover, shape, 255)

    def _fill(self, draw: ImageDraw.ImageDraw, shape: Shape, tone: RGB | int) -> None:
        points = self._place(shape.points)
        if shape.width:
            draw.line(points, tone, round(shape.width * self.unit), joint="curve")
        else:
            draw.polygon(points, tone)

    def _place(self, points: Iterable[Point]) -> list[Point]:
        return [(self.centre + x * self.unit, self.centre + y * self.unit) for x, y in points]


def _tone(name: str, fill: RGB) -> RGB:
    if name == "fill":
        return fill
    if name == "shade":
        return shade(fill)
    if name == "light" and min(fill) > 200:
        return (176, 180, 196)
    if name == "ink" and max(fill) < 60:
        return _FIXED["light"]
    return _FIXED[name]
