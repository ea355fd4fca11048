"""The plot shows the run: falling losses fall, validation stands out, and an empty log is an empty picture."""

import json

import numpy as np

from pochade.training.plot import HEIGHT, WIDTH, plot

BLUE, RED = (30, 80, 200), (210, 60, 30)


def rows_of(image, colour) -> np.ndarray:
    return np.argwhere((np.asarray(image) == colour).all(axis=2))


def write(path, losses, validation=()):
    lines = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    for step, value in validation:
        lines[step - 1]["validation"] = value
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_falling_loss_falls(tmp_path):
    image = plot(write(tmp_path / "log.jsonl", [1 / step for step in range(1, 300)]), "a run")
    line = rows_of(image, BLUE)
    left, right = line[line[:, 1] < 120][:, 0].mean(), line[line[:, 1] > WIDTH - 60][:, 0].mean()
    assert image.size == (WIDTH, HEIGHT)
    assert right > left + 100


def test_validation_is_ringed(tmp_path):
    plain = plot(write(tmp_path / "a.jsonl", [0.5] * 50), "a run")
    checked = plot(write(tmp_path / "b.jsonl", [0.5] * 50, [(25, 0.4)]), "a run")
    assert len(rows_of(plain, RED)) == 0
    assert len(rows_of(checked, RED)) > 5


def test_an_empty_log_is_an_empty_picture(tmp_path):
    assert set(plot(write(tmp_path / "log.jsonl", []), "nothing").get_flattened_data()) == {(255, 255, 255)}
