# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A request as a curl command."""

from collections.abc import Mapping
from shlex import quote

from .masking import mask_headers, mask_url

# curl computes these itself; a length from before masking would make it hang.
_LEFT_TO_CURL = {"content-length", "transfer-encoding", "connection"}


def as_curl(method, url, headers, body, *, form=None, files=()):
    """A `curl` command for a POSIX shell that sends this request.

    headers: mapping or pairs; body: text, bytes or None
    form: multipart fields, name -> text; files: names of form fields that hold a file,
    each read from a file of that name
    The arguments must be masked; sensitive headers and query values are masked here
    again. A binary body is read from a file `body.bin`.
    """
    words = [f"curl --request {quote(method.upper())}"]
    if any(each in url for each in "[]{}"):
        words.append("--globoff")  # curl interprets brackets as patterns
    words.append(f"--url {quote(mask_url(url))}")
    masked = mask_headers(headers)
    for name, value in masked.items() if isinstance(masked, Mapping) else masked:
        if name.lower() not in _LEFT_TO_CURL:
            # "Name:" would remove a header, "Name;" sends it empty
            line = f"{name}: {value}" if value else f"{name};"
            words.append(f"--header {quote(line)}")
    if body:
        words.append(_data(body))
    for name, value in (form or {}).items():
        words.append(f"--form-string {quote(f'{name}={value}')}")
    for name in filter(None, files):
        words.append(f"--form {quote(f'{name}=@{name}')}")
    return " \\\n  ".join(words)


def _data(body):
    if isinstance(body, bytes):
        try:
            body = body.decode("utf-8")
        except UnicodeDecodeError:
            body = "\0"
    if "\0" in body:  # no shell can pass it as an argument
        return "--data-binary @body.bin"
    return f"--data-raw {quote(body)}"
