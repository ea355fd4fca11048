"""Redirects, tokens and addresses that must not be asked."""

import logging

import pytest

from pochade.errors import FileError, MissingFileError, UsageError
from pochade.library.downloads import access, addresses, connection
from pochade.library.downloads.addresses import is_public, shown_address

from .server import File, moved, said


def with_login(address):
    return address.replace("http://", "http://me:pa55@")


def test_a_token_does_not_follow_to_another_host(site, other_site, run, lora):
    site.routes["/a.safetensors"] = moved(f"{other_site.address}/b.safetensors?signature=x")
    other_site.routes["/b.safetensors"] = File(lora)
    made, _ = run(f"{site.address}/a.safetensors", token="secret")
    assert made.path.name == "a.safetensors"
    assert set(site.sent("Authorization")) == {"Bearer secret"}
    assert set(other_site.sent("Authorization")) == {None}


def test_a_login_in_the_address_goes_to_its_host_alone(site, other_site, run, lora):
    site.routes["/a.safetensors"] = moved(f"{other_site.address}/b.safetensors")
    other_site.routes["/b.safetensors"] = File(lora)
    run(with_login(f"{site.address}/a.safetensors"))
    assert set(site.sent("Authorization")) == {"Basic bWU6cGE1NQ=="}
    assert set(other_site.sent("Authorization")) == {None}


def test_secrets_are_in_no_message_log_or_record(site, run, home, lora, caplog):
    caplog.set_level(logging.DEBUG)
    site.routes["/a.safetensors"] = File(lora, breaks=[1000])
    made, told = run(with_login(f"{site.address}/a.safetensors?token=pa55"))
    texts = [str(made), *told, caplog.text, *(each.read_text() for each in home.rglob("*.jsonl"))]
    assert len(texts) == 4
    assert not any("pa55" in text or "6cGE1N" in text for text in texts)
    site.routes["/a.safetensors"] = said(403)
    with pytest.raises(FileError) as error:
        run(with_login(f"{site.address}/a.safetensors?token=pa55"))
    assert "pa55" not in str(error.value)
    assert str(error.value).startswith(f"{site.address}/a.safetensors?…: the server refuses it (403); ")


def test_relative_redirects_are_followed_and_circles_are_not(site, run, lora):
    site.routes["/old/a.safetensors"] = moved("../new/a.safetensors")
    site.routes["/new/a.safetensors"] = File(lora)
    assert run(f"{site.address}/old/a.safetensors")[0].path.read_bytes() == lora
    site.routes["/circle"] = moved("/circle")
    with pytest.raises(FileError, match="leads from one address to another, more than 10 times"):
        run(f"{site.address}/circle")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://a/b", "javascript:alert(1)", "http://[::1"])
def test_redirects_to_something_else_than_the_web_are_refused(site, run, target):
    site.routes["/a.ckpt"] = moved(target)
    with pytest.raises(FileError, match="leads to something else than a web address; refused"):
        run(f"{site.address}/a.ckpt")


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_hosts_that_can_have_no_number_are_told(site, run, host):
    site.routes["/a.ckpt"] = moved(f"http://{host}/a.ckpt")
    with pytest.raises(FileError, match="is no address that can be asked"):
        run(f"{site.address}/a.ckpt")


def test_no_redirect_leads_from_https_to_http():
    with pytest.raises(FileError, match="leads from https to http"):
        connection._next("https://a.org/b", "http://a.org/b", access.OPEN)


@pytest.fixture
def public_name(monkeypatch):
    """As if localhost were a host of the public internet, and a proxy stood between."""
    monkeypatch.setattr(connection, "is_private", lambda host: host != "localhost")
    monkeypatch.setattr(connection, "getproxies", lambda: {"http": "http://proxy"})


def test_a_public_address_never_leads_inside(site, run, public_name):
    outside = site.address.replace("127.0.0.1", "localhost")
    site.routes["/a.ckpt"] = moved(f"{site.address}/inner")
    with pytest.raises(FileError, match=r"leads to 127\.0\.0\.1, which is not on the public internet; refused"):
        run(f"{outside}/a.ckpt")
    assert site.paths() == ["/a.ckpt"]


def test_an_address_inside_may_be_asked_for_by_its_user_only(site, run, lora):
    site.routes["/a.safetensors"] = File(lora)
    with pytest.raises(UsageError, match="is not on the public internet, which this server does not ask"):
        run(f"{site.address}/a.safetensors", allow_private=False)
    assert site.paths() == []


def test_a_name_that_changes_its_number_after_the_check_is_found_out(site, run, lora, monkeypatch):
    monkeypatch.setattr(connection, "is_private", lambda host: False)
    site.routes["/a.safetensors"] = File(lora)
    with pytest.raises(FileError, match=r"127\.0\.0\.1 is not on the public internet; refused"):
        run(f"{site.address}/a.safetensors", allow_private=False)


@pytest.mark.parametrize(
    "number", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1", "0.0.0.0"]
)
def test_numbers_inside_are_known(number):
    assert not is_public(number)
    assert ":" in number or not is_public(f"::ffff:{number}")


def test_numbers_outside_are_known(monkeypatch):
    assert is_public("8.8.8.8")
    assert is_public("2606:4700::1111")
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("8.8.8.8", 0)), (2, 1, 6, "", ("10.0.0.1", 0))]
    )
    assert addresses.is_private("both.example")


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>log in</html>", b"  <html>", b"\n<?xml version='1.0'?><Error/>"]
)
def test_a_web_page_is_no_file(site, run, here, page):
    site.routes["/a.safetensors"] = said(200, page)
    with pytest.raises(FileError, match=r"is a web page, not the file; it may need a login"):
        run(f"{site.address}/a.safetensors")
    assert "a.safetensors" not in here()


def test_packing_that_is_none_is_no_reason_to_refuse_a_file(site, run, lora):
    site.routes["/a.safetensors"] = File(lora, headers={"Content-Encoding": ""})
    assert run(f"{site.address}/a.safetensors")[0].path.read_bytes() == lora
    site.routes["/b.safetensors"] = File(lora, headers={"Content-Encoding": "gzip"})
    with pytest.raises(FileError, match="packs what it sends"):
        run(f"{site.address}/b.safetensors")


def test_a_wrong_content_type_is_no_reason_to_refuse_a_file(site, run, lora):
    site.routes["/a.safetensors"] = File(lora, headers={"Content-Type": "text/html"})
    assert run(f"{site.address}/a.safetensors")[0].path.read_bytes() == lora


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (said(401, {"message": "Sign in first"}), FileError, r"refuses it \(401: Sign in first\); it may need a login"),
        (said(404), MissingFileError, r"is not there \(404\); check the name"),
        (said(410, {"error": "taken down"}), MissingFileError, r"is not there \(410: taken down\)"),
        (said(418, {"error": 5}), FileError, r"the server answers 418$"),
        (said(403, b"<html>" + b"x" * 99_999), FileError, r"refuses it \(403\)"),
        (said(200, b"x", Content_Encoding="gzip"), FileError, "packs what it sends"),
    ],
)
def test_refusals_are_told_in_the_servers_words(site, run, answer, kind, sentence):
    site.routes["/a.ckpt"] = answer
    with pytest.raises(kind, match=sentence):
        run(f"{site.address}/a.ckpt")


def test_addresses_are_shown_without_secrets():
    assert shown_address("https://me:pass@a.org:8443/b c.ckpt?x=1#y") == "https://a.org:8443/b%20c.ckpt?…"
    assert shown_address("http://[::1]:80/a") == "http://[::1]:80/a"
