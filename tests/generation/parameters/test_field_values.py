import pytest

from pochade.generation.parameters.field_values import size_of, value_of


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("strength", "0.6", 0.6),
        ("strength", "1.5", None),
        ("strength", "nan", None),
        ("padding", 32, 32),
        ("padding", "4.5", None),
        ("seed", "9" * 5000, None),
        ("soft", "True", True),
        ("soft", "false", False),
        ("soft", "perhaps", None),
        ("fill", "Latent Noise", "latent noise"),
        ("fill", "sand", None),
        ("prompt", "a cat", "a cat"),
        ("mask_blur", None, None),
    ],
)
def test_a_text_is_a_value_of_its_field_or_none(field, text, value):
    assert value_of(field, text) == value


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        (("128", "96"), (128, 96)),
        ((1024, 768), (1024, 768)),
        (("128", "0"), (128, 0)),
        (("128", "99999"), None),
        (("9" * 5000, "96"), None),
        (("128", "²"), None),
        (("128",), None),
    ],
)
def test_a_size_has_two_sides_within_its_limits(sides, size):
    found = {f"Hires resize-{number}": side for number, side in enumerate(sides, 1)}
    assert size_of("hires_size", found, "Hires resize") == size
