import pytest
import torch

from pochade.sampling import NoiseTable

TABLE = NoiseTable.scaled_linear()


def test_ends_of_the_published_table():
    assert TABLE.alphas.dtype == torch.float32
    assert TABLE.lowest == pytest.approx(0.0291675348, rel=1e-6)
    assert TABLE.highest == pytest.approx(14.6146421, rel=1e-6)


def test_sigma_and_timestep_are_inverse():
    for timestep in (0.0, 0.25, 17.5, 998.75, 999.0):
        sigma = TABLE.sigma(torch.tensor(timestep))
        assert float(TABLE.timestep(sigma)) == pytest.approx(timestep, abs=2e-3)
    for entry in (0, 500, 999):
        assert float(TABLE.timestep(TABLE.sigmas[entry])) == pytest.approx(entry, abs=1e-3)


def test_timesteps_stay_inside_the_table():
    assert TABLE.timestep(torch.tensor(1e-5)) == 0
    assert TABLE.timestep(torch.tensor(1e5)) == 999


def test_quantized_timesteps_are_whole():
    between = TABLE.sigma(torch.tensor(100.4))
    assert TABLE.quantized().timestep(between) == 100
    assert float(TABLE.timestep(between)) == pytest.approx(100.4, abs=1e-3)


def test_zero_terminal_snr():
    table = TABLE.zero_terminal_snr()
    assert table.alphas[0] == pytest.approx(float(TABLE.alphas[0]), rel=1e-6)
    assert float(table.alphas[-1]) == pytest.approx(4.8973451890853435e-08)
    assert (table.alphas.diff() < 0).all()
    assert table.highest > 4000


def test_downcast_keeps_half_precision():
    table = TABLE.downcast()
    assert table.alphas.dtype == torch.float16
    assert table.sigmas.dtype == torch.float32
    assert torch.equal(table.sigmas, table.sigmas.half().float())
    assert float(table.sigmas[500]) == pytest.approx(float(TABLE.sigmas[500]), rel=2e-3)
