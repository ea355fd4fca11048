"""What tags, options and texts say of a LoRA."""

import pytest

from pochade.errors import UsageError
from pochade.generation.extra_networks.lora_unit import (
    LoraUnit,
    added_parameters,
    recalled_loras,
    tagged,
    unit_of,
)
from pochade.generation.parameters.infotext import read
from pochade.prompts import extra_networks


def units(prompt):
    return tagged(extra_networks.extract(prompt)[1]).units


@pytest.mark.parametrize(
    ("tag", "unet", "text"),
    [
        ("<lora:fox>", 1, 1),
        ("<lora:fox:0.8>", 0.8, 0.8),
        ("<lora:fox:0.8:0.5>", 0.5, 0.8),
        ("<lora:fox:-1:0>", 0, -1),
        ("<lora:fox:0.8:unet=0.5>", 0.5, 0.8),
        ("<lora:fox:te=0.3>", 0.3, 0.3),
        ("<lora:fox:unet=0.3>", 0.3, 1),
        ("<lora:fox:0.1:0.2:te=0.3:unet=0.4>", 0.4, 0.3),
        ("<lyco:fox: 0.8 >", 0.8, 0.8),
        ("<Lora: fox:0.8>", 0.8, 0.8),
    ],
)
def test_weights_of_tags(tag, unet, text):
    (unit,) = units(tag)
    assert (unit.name, unit.weight, unit.text_strength) == ("fox", unet, text)


def test_all_words_of_tags():
    (unit,) = units("<lora:fox:1:0.5:4:lbw=OUTD:start=3:stop=0.5>")
    assert unit == LoraUnit("fox", weight=0.5, text_weight=1, rank=4, blocks="OUTD", start=3, stop=0.5)
    assert units("<lora:fox:1:dyn=2:step=5-15>") == (LoraUnit("fox", text_weight=1, rank=2, start=5, stop=15),)


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("<lora:fox:strong>", "weight is 'strong'; it must be a number from -1000 to 1000."),
        ("<lora:fox:nan>", "weight is nan; it must be a number"),
        ("<lora:fox:1:1:many>", "rank is 'many'; it must be a whole number from 1 to 10000."),
        ("<lora:fox:1:lbw=OUTX>", "There is no choice of blocks named 'OUTX'; did you mean OUT"),
        ("<lora:fox:1:lbw=1,2>", "blocks has 2 numbers; it must have 17 or 26, or for SDXL 12 or 20."),
        ("<lora:fox:1:step=soon>", "step is 'soon'; it must be two numbers such as 5-15."),
        ("<lora: >", "It names no LoRA."),
        ("<lora:fox=1>", "It names no LoRA."),
    ],
)
def test_tags_that_cannot_be_followed_are_told_and_the_others_stay(tag, problem):
    found = tagged(extra_networks.extract(f"{tag} <lora:hare>")[1])
    assert [unit.name for unit in found.units] == ["hare"]
    (note,) = found.notes
    assert note.startswith(f"{tag} has no effect. {problem}")


def test_other_kinds_of_tags_are_for_others():
    assert tagged(extra_networks.extract("<hypernet:fox:1><loras:fox>")[1]) == ((), ())


def test_the_last_numbers_of_a_name_count_for_each_of_its_tags():
    assert [unit.weight for unit in units("<lora:fox:0.5><lora:hare:0.1><lora:fox:0.3>")] == [0.3, 0.1, 0.3]


@pytest.mark.parametrize(
    ("settings", "acting"),
    [
        ({}, range(10)),
        ({"start": 1}, range(10)),
        ({"start": 4}, range(4, 10)),
        ({"stop": 4}, range(4)),
        ({"start": 2, "stop": 4}, range(2, 4)),
        ({"start": 0.5}, range(5, 10)),
        ({"stop": 0.25}, range(2)),
        ({"stop": 0}, range(0)),
        ({"start": 30}, range(0)),
        ({"stop": 30}, range(10)),
    ],
)
def test_steps_in_which_it_acts(settings, acting):
    unit = LoraUnit("fox", **settings)
    assert [done for done in range(10) if unit.acts(done, 10)] == list(acting)


def test_a_unit_without_a_name_is_refused():
    with pytest.raises(UsageError, match="name of LoRA 2 is missing"):
        LoraUnit("").validate(" of LoRA 2")
    with pytest.raises(UsageError, match="It names no LoRA"):
        unit_of([], {})


def test_parameters_are_those_of_additional_networks():
    loras = (LoraUnit("sub/fox.safetensors", "a" * 12, 0.8, 0.2), LoraUnit("hare"))
    assert added_parameters(loras) == {
        "AddNet Enabled": True,
        "AddNet Module 1": "LoRA",
        "AddNet Model 1": "fox(aaaaaaaaaaaa)",
        "AddNet Weight A 1": 0.8,
        "AddNet Weight B 1": 0.2,
        "AddNet Module 2": "LoRA",
        "AddNet Model 2": "hare",
        "AddNet Weight A 2": 1.0,
        "AddNet Weight B 2": 1.0,
    }
    assert added_parameters(()) == {}


def test_parameters_of_additional_networks_are_recalled():
    line = (
        "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, AddNet Enabled: True, AddNet Module 1: LoRA, "
        "AddNet Model 1: korean Doll (v10)(e2e472c06607), AddNet Weight A 1: 0.6, AddNet Weight B 1: 0.5, "
        "AddNet Module 2: LoCon, AddNet Model 2: other(e2e472c06607), AddNet Weight A 2: 1, "
        "AddNet Module 3: LoRA, AddNet Model 3: old(e2e472c0), AddNet Weight A 3: 1"
    )
    found = recalled_loras(read(f"a cat\n{line}")[2])
    assert found.units == (
        LoraUnit("korean Doll (v10)", "e2e472c06607", 0.6, 0.5),
        LoraUnit("old", weight=1, text_weight=1),
    )
    assert "AddNet Weight B 1" in found.names
    assert "AddNet Model 2" not in found.names
    assert recalled_loras({"Steps": "20"}) == ((), frozenset())


def test_a_portable_unit_has_no_folders():
    assert LoraUnit("C:\\loras\\fox.pt").portable().name == "fox.pt"
