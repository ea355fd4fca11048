"""The model that ships: its file is what its recipe says, and it draws what it is told."""

import json
from pathlib import Path

import pytest

import pochade
import pochade.picturebook
from pochade import Pipeline, files
from pochade.evaluation.picturebook import GOALS, evaluate
from pochade.events import Made
from pochade.families import SD1, recognise
from pochade.generation.model import shipped_model
from pochade.picturebook.evaluation import evaluation_prompts
from pochade.picturebook.judge import judge
from pochade.picturebook.objects import OBJECTS
from pochade.picturebook.palette import BACKGROUNDS, COLOURS
from pochade.picturebook.scene import split_of
from pochade.training import Recipe

FOLDER = Path(pochade.picturebook.__file__).parent
MOST_BYTES = 48_000_000


@pytest.fixture(scope="module")
def recipe():
    return Recipe.read(FOLDER / "recipe.toml")


def test_the_file_is_a_small_checkpoint_in_half_precision(recipe):
    path = shipped_model()
    report = pochade.inspect(path)
    assert path.stat().st_size <= MOST_BYTES
    assert (report["kind"], report["family"], report["variant"], report["prediction"]) == (
        "checkpoint", "sd1", "base", "epsilon",
    )  # fmt: skip
    assert set(report["dtypes"]) == {"F16"}
    assert report["missing"] == []
    assert report["junk"]["keys"] == 0
    metadata = files.open(path).metadata
    assert metadata["modelspec.title"] == recipe.title
    assert metadata["modelspec.date"] == recipe.date.isoformat()
    assert metadata["modelspec.resolution"] == "128x128"


def test_its_networks_have_the_sizes_of_the_recipe(recipe):
    shapes = files.open(shipped_model()).shapes()
    assert recognise(shapes) is SD1
    assert shapes[f"{SD1.unet_prefix}input_blocks.0.0.weight"][0] == recipe.networks.unet.width
    assert shapes[f"{SD1.vae_prefix}encoder.conv_in.weight"][0] == recipe.networks.vae.width
    assert shapes["cond_stage_model.transformer.text_model.final_layer_norm.weight"] == (recipe.networks.text.width,)


def stages(recipe):
    """The recorded stages by name, with their plans."""
    found = {f"native-{number}": stage for number, stage in enumerate(recipe.native, 1)}
    return found | {f"sketch-{number}": stage.sketch for number, stage in enumerate(recipe.native, 1) if stage.sketch}


def test_its_logs_are_whole_and_its_loss_fell(recipe):
    for name, stage in stages(recipe).items():
        log = [json.loads(line) for line in (FOLDER / "training" / f"{name}.jsonl").read_text().splitlines()]
        tenth = len(log) // 10
        assert [line["step"] for line in log] == list(range(1, stage.steps + 1))
        first, last = (sum(line["loss"] for line in part) for part in (log[:tenth], log[-tenth:]))
        assert last < first


def test_its_page_names_the_whole_world():
    page = (Path(__file__).parents[2] / "docs/picturebook.md").read_text()
    for row, names in {"objects": OBJECTS, "colours": COLOURS, "backgrounds": BACKGROUNDS}.items():
        assert f"| {row} | {', '.join(names)} |" in page


def test_it_is_judged_by_prompts_that_it_never_saw():
    assert all(split_of(scene) == "test" for _, scene in evaluation_prompts())
    assert len({prompt for prompt, _ in evaluation_prompts()}) > 150


def test_it_draws_what_it_is_told():
    """A sample of the whole table, which the slow test draws."""
    table = next(event.result for event in evaluate(Pipeline.load(), count=12) if isinstance(event, Made))
    rates = table.rates()
    assert rates["all"] >= 75
    assert rates["background"] >= 90


def test_the_readme_s_first_picture_shows_what_it_says():
    picture = Pipeline.load().txt2img("a red house under a yellow sun, night sky", seed=8)
    seen = judge(picture.image)
    assert {(thing.colour, thing.object) for thing in seen.things} == {("red", "house"), ("yellow", "sun")}
    assert seen.background == "night sky"


@pytest.mark.slow
def test_it_reaches_the_goals():
    table = next(event.result for event in evaluate(Pipeline.load()) if isinstance(event, Made))
    rates = table.rates()
    assert {name: rates[name] for name, goal in GOALS.items() if rates[name] < goal} == {}
