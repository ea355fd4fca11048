"""What happens when memory is short, or runs out."""

import pytest
import torch

from pochade.errors import ResourceError
from pochade.events import Warned
from pochade.generation.device import memory as module
from pochade.generation.device.memory import GIB, ROWS, Memory, Way, in_rows
from pochade.networks import UNet, fresh, unet_shapes
from pochade.networks.layers import attend

CPU = torch.device("cpu")
CARD = torch.device("cuda")
MESSAGE = "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."


def ways(*results):
    """Ways of which each gives its result, or raises it."""

    def give(result):
        if isinstance(result, Exception):
            raise result
        return result

    return [Way(f"way {number} is gone", lambda each=each: give(each)) for number, each in enumerate(results)]


@pytest.mark.parametrize("error", [RuntimeError(MESSAGE), MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")])
def test_the_next_way_is_gone_when_memory_runs_out_and_told_once(error):
    memory = Memory(CPU)
    assert memory.sufficing("drawing", ways(error, 7), "draw less") == 7
    assert memory.sufficing("drawing", ways(error, 8), "draw less") == 8
    assert list(memory.notes.untold()) == [Warned("Memory ran out while drawing; way 1 is gone.")]
    assert list(memory.notes.untold()) == []


def test_what_did_not_suffice_is_not_tried_again():
    memory = Memory(CPU)
    memory.sufficing("drawing", ways(MemoryError(), 7), "draw less")
    assert memory.sufficing("drawing", ways(0, 1), "draw less") == 1
    assert memory.sufficing("decoding", ways(0, 1), "draw less") == 0


def test_when_no_way_suffices_it_is_an_error_of_its_own():
    with pytest.raises(ResourceError, match=r"^Memory ran out while drawing; draw less\.$") as raised:
        Memory(CPU).sufficing("drawing", ways(MemoryError(), MemoryError()), "draw less")
    assert raised.value.exit_code == 5


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"):
        Memory(CPU).sufficing("drawing", ways(RuntimeError("shapes differ"), 1), "draw less")


def test_a_limit_counts_what_is_taken_already(monkeypatch):
    monkeypatch.setattr(module, "_own_bytes", lambda: GIB)
    monkeypatch.setattr(module, "_free_of_system", lambda: 5 * GIB)
    assert Memory(CPU).free() == 5 * GIB
    assert Memory(CPU, 4).free() == 3 * GIB
    assert Memory(CPU, 100).free() == 5 * GIB
    assert Memory(CPU, 0.5).free() == 0


def test_where_the_system_says_nothing_only_a_limit_counts(monkeypatch):
    monkeypatch.setattr(module, "_free_of_system", lambda: None)
    monkeypatch.setattr(module, "_own_bytes", lambda: 0)
    assert Memory(CPU).free() is None
    assert Memory(CPU, 2).free() == 2 * GIB


@pytest.mark.parametrize(
    ("limit", "weights", "home"),
    [
        (4, 2.2, CARD),  # SD 1 in float16
        (8, 6.9, CARD),  # SDXL in float16
        (6, 6.9, CPU),
        (4, 6.9, CPU),
        (None, 6.9, CARD),
    ],
)
def test_networks_live_on_the_card_when_they_fit_and_leave_room_for_work(monkeypatch, limit, weights, home):
    monkeypatch.setattr(module, "_free_of_card", lambda device: 24 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    memory = Memory(CARD, limit)
    assert memory.home_for(int(weights * 1e9)) == home
    assert memory.workplace.is_short == (home == CPU)


def test_a_second_model_comes_and_goes_like_the_first(monkeypatch):
    monkeypatch.setattr(module, "_free_of_card", lambda device: 4 * GIB)
    memory = Memory(CARD)
    assert memory.home_for(7 * GIB) == CPU
    place = memory.workplace
    assert memory.home_for(GIB) == CPU
    assert memory.workplace is place


def test_what_works_on_the_main_memory_never_moves():
    memory = Memory(CPU, 1)
    assert memory.home_for(7 * GIB) == CPU
    assert not memory.workplace.is_short


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_attention_in_parts_gives_the_same(rows):
    query, key, value = (torch.randn(2, length, 32) for length in (50, 9, 9))
    torch.testing.assert_close(attend(query, key, value, 4, rows=rows), attend(query, key, value, 4), atol=1e-5, rtol=0)


def test_a_network_in_rows_has_all_its_attention_in_parts():
    unet = fresh(UNet, unet_shapes(32, (1, 2), 64, (0, 1), 1), 1).eval()
    in_rows(unet)
    assert {each.rows for each in unet.modules() if hasattr(each, "rows")} == {ROWS}
