# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a column of a secret holds: clear text, reference or ciphertext."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.secrets import (
    SIZE_MAX,
    Keys,
    SecretUnavailable,
    Store,
    as_entered,
)

FIELD = "some.model.auth_secret"
OTHER = "some.model.signing_secret"
TEXTS = ("plain", "env:X", "file:/x", "text:a", "enc:v1:k:AAAA", "text:text:", "é\n")


def key(number=1):
    return base64.b64encode(bytes([number]) * 32).decode()


def store(keys="", **options):
    return Store.parse(keys, **options)


def refusal(call, *args):
    with pytest.raises(SecretUnavailable) as caught:
        call(*args)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("keys", ["", f"a:{key()}"])
@pytest.mark.parametrize("secret", TEXTS)
def test_what_is_entered_as_text_is_read_again(keys, secret):
    """Behind text:, every secret can be entered, with and without a key."""
    each = store(keys)

    stored = each.stored(f"text:{secret}", FIELD)

    assert each.value(stored, FIELD) == secret
    assert stored.startswith("enc:v1:a:") is bool(keys)
    again = each.stored(as_entered(stored, secret), OTHER)
    assert each.value(again, OTHER) == secret


@given(st.text(min_size=1))
def test_every_text_survives_encryption(secret):
    """Also one that looks like ciphertext, and no part of it is in what is stored."""
    each = store(f"a:{key()}")

    stored = each.sealed(secret, FIELD)

    assert each.value(stored, FIELD) == secret
    assert stored != each.sealed(secret, FIELD)  # a nonce of its own


def test_a_value_that_looks_like_ciphertext_is_text():
    """Ciphertext of a dump can't be entered to be read as the secret behind it."""
    each = store(f"a:{key()}")
    stolen = each.sealed("a secret", FIELD)

    assert each.value(each.stored(stolen, FIELD), FIELD) == stolen
    assert store().value(store().stored(stolen, FIELD), FIELD) == stolen


def test_bound_to_its_field():
    """Ciphertext that is moved to another column, or to another key, isn't read."""
    keys = store(f"a:{key()},b:{key()}").keys
    stored = keys.encrypt("a secret", FIELD)

    assert "doesn't decrypt" in refusal(keys.decrypt, stored, OTHER)
    renamed = stored.replace(":a:", ":b:")
    assert "doesn't decrypt" in refusal(keys.decrypt, renamed, FIELD)


def test_the_first_key_writes_and_all_read():
    """A new key goes first; what the previous one encrypted is read and not current."""
    old = store(f"old:{key(1)}")
    both = store(f"new:{key(2)}, old:{key(1)}")
    stored = old.sealed("a secret", FIELD)

    assert both.value(stored, FIELD) == "a secret"
    assert not both.is_current(stored)
    assert both.is_current(both.sealed("a secret", FIELD))
    assert both.is_current("env:X")
    assert not both.is_current("clear")


def test_wrong_and_missing_keys():
    """Each says what to do, and none of them reads anything."""
    stored = store(f"a:{key(1)}").sealed("a secret", FIELD)

    for keys, expected in (
        ("", 'key "a", which secret_keys'),
        (f"b:{key(1)}", 'key "a", which secret_keys'),
        (f"a:{key(2)}", "doesn't decrypt"),
    ):
        assert expected in refusal(store(keys).value, stored, FIELD)
    for damaged in ("enc:v2:a:AA", "enc:v1:a:AA", "enc:v1:a:", "enc:", stored[:-5]):
        refusal(store(f"a:{key(1)}").value, damaged, FIELD)


@pytest.mark.parametrize(
    "text", ["a", "a:", ":" + key(), f"a:{key()[:-8]}", "a b:" + key(), "a:é" + key()]
)
def test_invalid_keys_are_not_quoted(text):
    """The message names the number of the entry."""
    message = refusal(Keys.parse, f"ok:{key(7)},{text}")

    assert "entry 2" in message
    assert key(7)[:8] not in message
    assert "two keys" in refusal(Keys.parse, f"a:{key(1)},a:{key(2)}")
    assert key()[:8] not in repr(store(f"a:{key()}"))


def test_variables(monkeypatch):
    """Only those that odoo.conf names; one trailing newline is removed."""
    each = store(names="HOOK, EMPTY, UNSET")
    monkeypatch.setenv("HOOK", "from outside\n\n")
    monkeypatch.setenv("EMPTY", "\n")
    monkeypatch.setenv("HOME_SECRET", "x")

    assert each.stored("env:HOOK", FIELD) == "env:HOOK"
    assert each.value("env:HOOK", FIELD) == "from outside\n"
    assert "is empty" in refusal(each.value, "env:EMPTY", FIELD)
    assert "no such environment variable" in refusal(each.value, "env:UNSET", FIELD)
    for name in ("HOME_SECRET", "", "hook", "HOOK "):
        assert "secret_env" in refusal(each.stored, f"env:{name}", FIELD)
        assert "secret_env" in refusal(each.value, f"env:{name}", FIELD)
    assert "secret_env" in refusal(store().value, "env:HOOK", FIELD)


def test_files(tmp_path):
    """A file of an allowed folder, also by a link within it; its newline is removed."""
    folder = tmp_path / "secrets"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "token").write_text("from a file\r\n")
    (folder / "token").symlink_to("..data/token")
    each = store(folders=f"relative, {folder}/")

    assert each.value(f"file:{folder}/token", FIELD) == "from a file"
    (folder / "..data" / "token").write_text("replaced")
    assert each.value(f"file:{folder}/token", FIELD) == "replaced"


def test_files_outside(tmp_path):
    """No path leads out of the folders, and none says whether a file is there."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    beside = tmp_path / "secrets-of-others"
    beside.mkdir()
    (beside / "token").write_text("hidden")
    (folder / "link").symlink_to(beside / "token")
    (folder / "up").symlink_to(tmp_path)
    each = store(folders=str(folder))

    for path in (
        f"{folder}/../secrets-of-others/token",
        f"{beside}/token",
        f"{beside}/missing",
        f"{folder}",
        f"{folder}/",
        f"{folder}//token",
        f"{folder}/./token",
        "token",
        "",
        f"{folder}/a\0b",
    ):
        assert "not in an allowed folder" in refusal(each.stored, f"file:{path}", FIELD)
        assert "not in an allowed folder" in refusal(each.value, f"file:{path}", FIELD)
    for path in (f"{folder}/link", f"{folder}/up/secrets-of-others/token"):
        assert "not in an allowed folder" in refusal(each.value, f"file:{path}", FIELD)
    assert "not in an allowed" in refusal(store().value, f"file:{folder}/x", FIELD)


def test_files_that_can_not_be_read(tmp_path):
    """Missing, a folder, a pipe, empty, too large, not text: each is told."""
    each = store(folders=str(tmp_path))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"s3cret\xff")
    (tmp_path / "nul").write_bytes(b"s3cret\0")
    (tmp_path / "large").write_bytes(b"x" * (SIZE_MAX + 1))
    (tmp_path / "largest").write_bytes(b"x" * SIZE_MAX)

    for name, expected in (
        ("missing", "No such file"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("empty", "is empty"),
        ("binary", "is not text"),
        ("nul", "is not text"),
        ("large", "larger than 64 KiB"),
    ):
        message = refusal(each.value, f"file:{tmp_path}/{name}", FIELD)
        assert expected in message
        assert "s3cret" not in message
    assert each.value(f"file:{tmp_path}/largest", FIELD) == "x" * SIZE_MAX


def test_an_unreadable_file(tmp_path):
    """Without the right to read it; root, who may read all, becomes another user."""
    file = tmp_path / "token"
    file.write_text("x")
    file.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody
    try:
        message = refusal(store(folders=str(tmp_path)).value, f"file:{file}", FIELD)
    finally:
        os.seteuid(user)

    assert "Permission denied" in message
