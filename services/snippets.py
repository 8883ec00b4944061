# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Code shown to users: a request as a curl command, and how to verify a signature."""

import json
from collections.abc import Mapping
from shlex import quote
from string import Template

from .masking import mask_headers, mask_url

# curl computes these itself; a length from before masking would make it hang.
_LEFT_TO_CURL = {"content-length", "transfer-encoding", "connection"}

_STANDARD_PYTHON = """\
# pip install standardwebhooks
import os

from standardwebhooks import Webhook


def verify(body: bytes, headers) -> dict:
    \"\"\"The payload; raises WebhookVerificationError when it isn't from us.\"\"\"
    return Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, headers)
"""

_STANDARD_NODE = """\
// npm install standardwebhooks
const { Webhook } = require("standardwebhooks");

// body: the raw bytes as text. Throws when it isn't from us.
exports.verify = (body, headers) =>
    new Webhook(process.env.WEBHOOK_SECRET).verify(body, headers);
"""

_HMAC_PYTHON = Template("""\
import base64
import hmac
import os


def verify(body: bytes, headers) -> None:
    \"\"\"Raises ValueError when it isn't from us. Header names in lower case.\"\"\"
    key = os.environ["WEBHOOK_SECRET"].encode()
    digest = hmac.digest(key, body, $algorithm)
    expected = $prefix + $encoded
    if not hmac.compare_digest(expected, headers.get($header, "")):
        raise ValueError("wrong signature")
""")

_HMAC_NODE = Template("""\
const crypto = require("node:crypto");

// body: a Buffer of the raw bytes. Throws when it isn't from us.
exports.verify = (body, headers) => {
    const key = process.env.WEBHOOK_SECRET;
    const digest = crypto.createHmac($algorithm, key).update(body).digest($encoding);
    const expected = Buffer.from($prefix + digest);
    const given = Buffer.from(headers[$header] || "");
    if (
        given.length !== expected.length ||
        !crypto.timingSafeEqual(given, expected)
    ) {
        throw new Error("wrong signature");
    }
};
""")


def standard_snippets():
    """(Python, Node) for Standard Webhooks."""
    return _STANDARD_PYTHON, _STANDARD_NODE


def hmac_snippets(header, *, algorithm, encoding, prefix):
    """(Python, Node) for an HMAC header; arguments as for `signing.hmac_header`."""
    values = {
        "header": json.dumps(header.lower()),
        "algorithm": json.dumps(algorithm),
        "encoding": json.dumps(encoding),
        "prefix": json.dumps(prefix),
        "encoded": "digest.hex()"
        if encoding == "hex"
        else "base64.b64encode(digest).decode()",
    }
    return _HMAC_PYTHON.substitute(values), _HMAC_NODE.substitute(values)


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
