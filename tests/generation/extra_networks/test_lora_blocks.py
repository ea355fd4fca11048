"""Block weights in the words of LoRA Block Weight."""

import pytest

from pochade.errors import UnknownNameError, UsageError
from pochade.families import SD1, SDXL
from pochade.generation.extra_networks.lora_blocks import BlockWeights, check_blocks

NAMES = ["BASE", *(f"IN{each:02}" for each in range(12)), "M00", *(f"OUT{each:02}" for each in range(12))]


def acting(text, family=SD1):
    weights = BlockWeights(text, family)
    return " ".join(name for name in NAMES if weights.of(name))


# the numbers of the extension's own choices
CHOICES = {
    "INS": "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0",
    "IND": "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0",
    "INALL": "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0",
    "MIDD": "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0",
    "OUTD": "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0",
    "OUTS": "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1",
    "OUTALL": "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1",
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_those_of_the_extension(name):
    assert acting(name) == acting(CHOICES[name])


def test_seventeen_numbers_are_for_the_blocks_of_plain_loras():
    assert acting(",".join(["1"] * 17)) == (
        "BASE IN01 IN02 IN04 IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 OUT09 OUT10 OUT11"
    )


def test_numbers_stand_in_the_order_of_the_blocks():
    weights = BlockWeights(",".join(map(str, range(26))), SD1)
    assert [weights.of(name) for name in NAMES] == list(range(26))
    weights = BlockWeights(" 0.5 ," + ",".join(["-1"] * 11), SDXL)
    assert (weights.of("BASE"), weights.of("OUT05"), weights.of("IN03")) == (0.5, -1, 0)
    assert acting(",".join(["1"] * 20), SDXL).split()[-1] == "OUT08"


def test_choices_of_sdxl_are_its_own():
    assert acting("OUTALL", SDXL) == "BASE OUT00 OUT01 OUT02 OUT03 OUT04 OUT05"
    assert acting("MIDD", SDXL) == "BASE IN07 IN08 M00 OUT00 OUT01 OUT02"


def test_all_is_everything_and_none_is_nothing():
    assert acting("ALL") == acting("") == " ".join(NAMES)
    assert acting("NONE") == ""


@pytest.mark.parametrize("text", ["1,2,3", ",".join(["x"] * 17), ",".join(["inf"] * 17)])
def test_what_is_no_list_of_weights_is_refused(text):
    with pytest.raises(UsageError, match="blocks of LoRA 1"):
        check_blocks(text, " of LoRA 1")


def test_an_unknown_choice_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean"):
        check_blocks("OUTX")
