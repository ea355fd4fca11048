"""The loop: exact after a kill, an average that can be recomputed, a log with every step once."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from pochade import files
from pochade.errors import NumericalError, UsageError
from pochade.events import Saved, Step, Warned
from pochade.training import Plan, chance, train


class Line:
    """Learns a line from counted noise; enough to see any difference in state."""

    def __init__(self, poison: int | None = None) -> None:
        self.layer = nn.Linear(3, 2)
        with torch.no_grad():
            self.layer.weight.fill_(0.5)
            self.layer.bias.zero_()
        self.poison = poison

    def trainable(self):
        return dict(self.layer.named_parameters())

    def loss(self, step):
        x = chance.normal((4, 3), 7, "x", step)
        loss = (self.layer(x) - x[:, :2] * 2).square().mean()
        return loss * float("nan") if step == self.poison else loss

    def validation(self):
        return float(self.loss(10_000).detach())


PLAN = Plan(steps=12, learning_rate=0.05, warmup=3, save_every=4, validate_every=5)


def finished(folder) -> dict[str, np.ndarray]:
    weights = files.open(folder / "state.safetensors")
    return {name: np.array(weights[name]) for name in weights}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("killed_after", [1, 4, 6, 11])
def test_a_killed_run_goes_on_to_the_bit(tmp_path, killed_after):
    list(train(Line(), PLAN, tmp_path / "whole"))
    stopped = train(Line(), PLAN, tmp_path / "killed")
    steps = (event for event in stopped if isinstance(event, Step))
    list(islice(steps, killed_after))
    stopped.close()
    list(train(Line(), PLAN, tmp_path / "killed"))
    assert same(finished(tmp_path / "whole"), finished(tmp_path / "killed"))
    assert (tmp_path / "whole/log.jsonl").read_text() == (tmp_path / "killed/log.jsonl").read_text()


def test_validating_does_not_change_the_run(tmp_path):
    list(train(Line(), PLAN, tmp_path / "often"))
    list(
        train(Line(), Plan(steps=12, learning_rate=0.05, warmup=3, save_every=4, validate_every=99), tmp_path / "never")
    )
    assert same(finished(tmp_path / "often"), finished(tmp_path / "never"))


def test_the_log_has_every_step_once(tmp_path):
    events = list(train(Line(), PLAN, tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert [line["step"] for line in lines if "validation" in line] == [5, 10]
    assert [event.done for event in events if isinstance(event, Step)] == list(range(1, 13))
    assert sum(isinstance(event, Saved) for event in events) == 3


def test_the_average_is_the_documented_one(tmp_path):
    """Recomputed from the weights of every step: average += (1 - decay) * (weights - average)."""
    plan = Plan(steps=6, learning_rate=0.05, warmup=1, save_every=1)
    average = Line().layer.weight.detach().double()
    for step in range(plan.steps):
        events = train(Line(), plan, tmp_path)
        next(event for event in events if isinstance(event, Saved))
        events.close()
        weights = torch.from_numpy(finished(tmp_path)["weights.weight"].astype(np.float64))
        average += (1 - plan.ema_decay(step)) * (weights - average)
    np.testing.assert_allclose(finished(tmp_path)["average.weight"], average.numpy(), atol=1e-6)


def test_the_method_ends_with_its_average(tmp_path):
    method = Line()
    list(train(method, PLAN, tmp_path))
    np.testing.assert_array_equal(method.layer.weight.detach().numpy(), finished(tmp_path)["average.weight"])


def test_learning_happens(tmp_path):
    list(train(Line(), Plan(steps=150, learning_rate=0.05, warmup=5), tmp_path))
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] / 20


def test_rates_warm_up_and_fall():
    plan = Plan(steps=100, learning_rate=1.0, warmup=10, floor=0.1)
    rates = [plan.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert plan.rate(100) == pytest.approx(0.1)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    with pytest.raises(NumericalError, match="step 6"):
        list(train(Line(poison=6), PLAN, tmp_path))
    assert files.open(tmp_path / "state.safetensors").metadata["step"] == "4"


def test_a_gradient_that_is_no_number_stops_the_run_before_it_is_saved(tmp_path):
    """The square root at zero has a finite value and an infinite slope."""

    class Cliff(Line):
        def loss(self, step):
            return super().loss(step) + ((self.layer.weight * 0).sum().sqrt() if step == 7 else 0)

    with pytest.raises(NumericalError, match="gradient became nan at step 7"):
        list(train(Cliff(), PLAN, tmp_path))
    assert all(np.isfinite(each).all() for each in finished(tmp_path).values())


def test_a_run_that_goes_on_with_another_plan_warns(tmp_path):
    list(train(Line(), PLAN, tmp_path))
    events = list(train(Line(), replace(PLAN, steps=14, save_every=7), tmp_path))
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert "steps 12, now it is 14" in warnings[0]


def test_a_foreign_state_is_refused(tmp_path):
    files.save(
        tmp_path / "state.safetensors", {"weights.other": np.zeros(2, np.float32)}, {"step": "3", "threads": "1"}
    )
    with pytest.raises(UsageError, match="another run"):
        list(train(Line(), PLAN, tmp_path))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 0.0}])
def test_impossible_plans_are_refused(wrong):
    with pytest.raises(UsageError):
        Plan(**{"steps": 5, "learning_rate": 1e-3, **wrong})


def test_batches_take_every_picture_once_per_epoch():
    places = [place for step in range(12) for place in chance.batch_of(10, 5, 3, step)]
    for epoch in range(6):
        assert sorted(index for at, index in places if at == epoch) == list(range(10))
    assert places[:10] != places[10:20]


def test_chance_depends_on_all_its_counters():
    draws = {float(chance.normal((1,), *key)) for key in [(1, "a", 1), (2, "a", 1), (1, "b", 1), (1, "a", 2)]}
    assert len(draws) == 4
    assert torch.equal(chance.normal((5,), 1, "a", 9), chance.normal((5,), 1, "a", 9))
