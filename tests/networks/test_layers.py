"""Attention in half precision, where the scores of SD 2.1 have no room."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pochade.networks.layers import attend

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], ids=str)
@torch.no_grad()
def test_scores_beyond_float16_do_no_harm(backend, device):
    """Queries times keys reach 100,000 before they are scaled, and 12,500 after."""
    generator = torch.Generator().manual_seed(2)
    query = torch.randn(1, 16, 64, generator=generator).sign() * 40
    key = torch.cat([query[:, :8], torch.randn(1, 8, 64, generator=generator)], dim=1)
    value = torch.randn(1, 16, 64, generator=generator)
    assert float((query @ key.mT).max()) > torch.finfo(torch.float16).max
    exact = attend(query, key, value, heads=1)
    with sdpa_kernel(backend):
        halves = (each.to(device, torch.float16) for each in (query, key, value))
        mixed = attend(*halves, heads=1)
    torch.testing.assert_close(mixed.cpu().float(), exact, atol=2e-3, rtol=2e-3)
