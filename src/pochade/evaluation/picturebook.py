"""Does the prompt come out? Draws held-out prompts of the picture-book and asks its judge, which needs no learning."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from PIL import Image

from pochade.events import Event, Made, Step
from pochade.generation.pipeline import Pipeline
from pochade.generation.request import Request
from pochade.picturebook.evaluation import evaluation_prompts
from pochade.picturebook.judge import compare, judge
from pochade.picturebook.scene import Scene

# what a shipped model must reach, in per cent
GOALS = {"colour": 95, "object": 90, "background": 97, "relation": 80, "single": 85}
_GAP = 4


@dataclass(frozen=True)
class Drawn:
    """One held-out prompt, what was drawn for it and which attributes came out."""

    prompt: str
    scene: Scene
    image: Image.Image
    marks: dict[str, bool]
    style: bool


@dataclass(frozen=True)
class Table:
    """All drawn prompts of one evaluation."""

    drawn: tuple[Drawn, ...]

    def rates(self) -> dict[str, float]:
        """Per cent that came out of each attribute.

        `relation` counts prompts with two things; `single` asks for all attributes at once in prompts with one thing,
        `all` in every prompt.
        """
        single = [each for each in self.drawn if each.scene.relation is None]
        double = [each for each in self.drawn if each.scene.relation is not None]
        rates = {name: _rate([each.marks[name] for each in self.drawn]) for name in ("colour", "object", "background")}
        rates["relation"] = _rate([each.marks["relation"] for each in double])
        rates["single"] = _rate([each.marks["all"] for each in single])
        rates["all"] = _rate([each.marks["all"] for each in self.drawn])
        rates["style"] = _rate([each.style for each in self.drawn])
        return rates

    def sheet(self, columns: int = 10) -> Image.Image:
        """A contact sheet; pictures that missed something stand in a red frame."""
        width, height = self.drawn[0].image.size
        rows = -(-len(self.drawn) // columns)
        sheet = Image.new("RGB", (columns * (width + _GAP), rows * (height + _GAP)), "white")
        for number, each in enumerate(self.drawn):
            left, top = number % columns * (width + _GAP), number // columns * (height + _GAP)
            if not each.marks["all"]:
                sheet.paste("red", (left, top, left + width + _GAP, top + height + _GAP))
            sheet.paste(each.image, (left + _GAP // 2, top + _GAP // 2))
        return sheet


def evaluate(pipeline: Pipeline, count: int = 200, steps: int = 25, cfg: float = 5.0, seed: int = 1) -> Iterator[Event]:
    """Draw `count` held-out prompts, picture n with seed + n; yields a Step per picture and Made with the Table."""
    drawn = []
    for number, (prompt, scene) in enumerate(evaluation_prompts(count)):
        request = Request(prompt, steps=steps, cfg=cfg, seed=seed + number)
        image = next(event.result.image for event in pipeline.run(request) if isinstance(event, Made))
        drawn.append(_judged(prompt, scene, cast(Image.Image, image)))
        yield Step(number + 1, count, "prompts")
    yield Made(Table(tuple(drawn)))


def _judged(prompt: str, scene: Scene, image: Image.Image) -> Drawn:
    seen = judge(image)
    return Drawn(prompt, scene, image, compare(seen, scene), seen.style == scene.style)


def _rate(marks: list[bool]) -> float:
    return round(100 * sum(marks) / max(1, len(marks)), 1)
