# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Copy as cURL."""

import shlex

from services.snippets import as_curl


def arguments(*args):
    return shlex.split(as_curl(*args).replace("\\\n", ""))


def test_a_command_that_a_shell_reads_back():
    """Method, URL, headers and body arrive as they were, quotes and all."""
    assert [
        "curl",
        "--request",
        "POST",
        "--url",
        "https://a.example/o",
        "--header",
        "X-A: it's",
        "--header",
        "X-Empty;",
        "--data-raw",
        '{"a": "$b\'"}',
    ] == arguments(
        "post", "https://a.example/o", {"X-A": "it's", "X-Empty": ""}, '{"a": "$b\'"}'
    )


def test_without_a_body_no_data():
    """A request without body stays one."""
    assert "--data-raw" not in arguments("delete", "https://a.example/", {}, None)


def test_credentials_are_masked():
    """Even input that nobody masked shows no credential."""
    command = as_curl(
        "post", "https://a.example/?token=s3cret", (("Authorization", "s3cret"),), b""
    )

    assert "s3cret" not in command
    assert "Authorization: ***" in command


def test_lengths_are_left_to_curl():
    """A length from before masking would make curl wait for more."""
    assert "Content-Length" not in as_curl(
        "post", "https://a.example/", {"Content-Length": "5"}, b"hello"
    )


def test_bytes_that_are_not_text_are_read_from_a_file():
    """What a shell can't pass on is read from a file."""
    for body in (b"\xff\xfe", b"a\x00b"):
        assert "@body.bin" == arguments("put", "https://a.example/", {}, body)[-1]


def test_brackets_in_the_url_are_no_patterns():
    """An IPv6 host or a bracket in the query isn't expanded by curl."""
    assert "--globoff" in arguments("post", "https://[2001:db8::1]/", {}, None)


def test_multipart_fields_and_files():
    """Each field and file is a form part of its own; curl makes the boundary."""
    command = as_curl(
        "post", "https://a.example/o", {}, None, form={"a": "@b"}, files=["f"]
    )

    assert "--form-string a=@b" in command
    assert "--form f=@f" in command
