import pytest

from pochade.library.downloads.names import announced_name, free_name, safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("style.safetensors", "style.safetensors"),
        ("雪 (v1).ckpt", "雪 (v1).ckpt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.ckpt", "a.ckpt"),
        ("/", "model"),
        ("..", "model"),
        ("", "model"),
        (".hidden.ckpt", "hidden.ckpt"),
        ("a\0b\n\x1b[31m.ckpt", "ab[31m.ckpt"),
        ("gnp\u202etpkc.exe", "gnptpkc.exe"),
        ('a<b>:"c|?*.ckpt', "a_b___c___.ckpt"),
        ("CON", "_CON"),
        ("nul.safetensors", "_nul.safetensors"),
        ("a.ckpt. . ", "a.ckpt"),
        ("e\u0301.ckpt", "\u00e9.ckpt"),
    ],
)
def test_names_from_elsewhere_are_made_harmless(text, name):
    assert safe_name(text) == name


@pytest.mark.parametrize("letter", ["a", "雪"])
def test_long_names_are_shortened_before_their_ending(letter):
    name = safe_name(letter * 500 + ".safetensors")
    assert name.endswith(f"{letter}.safetensors")
    assert 150 < len(name.encode()) <= 180


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a b.ckpt"', "a b.ckpt"),
        ("attachment; filename*=UTF-8''%e9%9b%aa.ckpt", "雪.ckpt"),
        ("attachment", ""),
        ("", ""),
    ],
)
def test_the_server_may_say_the_name(header, name):
    assert announced_name(header) == name


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    (tmp_path / "A.ckpt").touch()
    (tmp_path / "a-2.ckpt").touch()
    assert free_name(tmp_path / "a.ckpt").name == "a-3.ckpt"
    assert free_name(tmp_path / "b.ckpt").name == "b.ckpt"
    assert free_name(tmp_path / "none" / "b.ckpt").name == "b.ckpt"
