# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Code shown to users: a request as a curl command, and how to verify a signature."""

import json
import re
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


_KEY_PYTHON = """\
# pip install cryptography
import base64
import os
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify(body: bytes, headers, tolerance=300) -> None:
    \"\"\"Raises InvalidSignature or ValueError when it isn't from us.

    Header names in lower case. The public key is the one of the endpoint.
    \"\"\"
    public = os.environ["WEBHOOK_PUBLIC_KEY"].removeprefix("whpk_")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > tolerance:
        raise ValueError("too old or too new")
    for each in headers["webhook-signature"].split(" "):
        version, _comma, signature = each.partition(",")
        if version == "v1a":
            signed = f"{message_id}.{timestamp}.".encode() + body
            return key.verify(base64.b64decode(signature), signed)
    raise ValueError("no signature of this kind")
"""

_KEY_NODE = """\
const crypto = require("node:crypto");

// Before the 32 bytes of an ed25519 key in its usual form (RFC 8410).
const START = Buffer.from("302a300506032b6570032100", "hex");

// body: a Buffer of the raw bytes. Throws when it isn't from us.
exports.verify = (body, headers, tolerance = 300) => {
    const text = process.env.WEBHOOK_PUBLIC_KEY.replace(/^whpk_/, "");
    const key = crypto.createPublicKey({
        key: Buffer.concat([START, Buffer.from(text, "base64")]),
        format: "der",
        type: "spki",
    });
    const time = headers["webhook-timestamp"];
    if (!(Math.abs(Date.now() / 1000 - Number(time)) <= tolerance)) {
        throw new Error("too old or too new");
    }
    const head = Buffer.from(`${headers["webhook-id"]}.${time}.`);
    const signed = Buffer.concat([head, body]);
    const isOurs = (headers["webhook-signature"] || "")
        .split(" ")
        .filter((each) => each.startsWith("v1a,"))
        .map((each) => Buffer.from(each.slice(4), "base64"))
        .some((each) => crypto.verify(null, signed, key, each));
    if (!isOurs) {
        throw new Error("wrong signature");
    }
};
"""

_TEMPLATE_PYTHON = Template("""\
import base64
import hmac
import os
import re
import time


def verify(body: bytes, headers, tolerance=300) -> None:
    \"\"\"Raises ValueError when it isn't from us. Header names in lower case.\"\"\"
    given = headers.get($header, "")
    message_id = headers.get("webhook-id", "")
    found = re.search($time_pattern, headers.get($time_header, ""))
    timestamp = found[1] if found else "0"
    if $is_timed and abs(time.time() - int(timestamp)) > tolerance:
        raise ValueError("too old or too new")

    def filled(text):
        text = text.replace("{timestamp}", timestamp)
        return text.replace("{message_id}", message_id)

    signed = filled($before).encode() + body + filled($after).encode()
    key = os.environ["WEBHOOK_SECRET"].encode()
    digest = hmac.digest(key, signed, $algorithm)
    expected = filled($item).replace("{signature}", $encoded)
    # A list has a second signature while the secret is replaced.
    if not any(hmac.compare_digest(expected, each) for each in given.split(",")):
        raise ValueError("wrong signature")
""")

_TEMPLATE_NODE = Template("""\
const crypto = require("node:crypto");

// body: a Buffer of the raw bytes. Throws when it isn't from us.
exports.verify = (body, headers, tolerance = 300) => {
    const id = headers["webhook-id"] || "";
    const found = (headers[$time_header] || "").match(new RegExp($time_pattern));
    const time = found ? found[1] : "0";
    if ($is_timed_js && !(Math.abs(Date.now() / 1000 - Number(time)) <= tolerance)) {
        throw new Error("too old or too new");
    }
    const filled = (text) =>
        text.replace("{timestamp}", time).replace("{message_id}", id);
    const mac = crypto.createHmac($algorithm, process.env.WEBHOOK_SECRET);
    mac.update(filled($before)).update(body).update(filled($after));
    const item = filled($item).replace("{signature}", mac.digest($encoding));
    const expected = Buffer.from(item);
    // A list has a second signature while the secret is replaced.
    const isOurs = (headers[$header] || "")
        .split(",")
        .map((each) => Buffer.from(each))
        .some(
            (each) =>
                each.length === expected.length &&
                crypto.timingSafeEqual(each, expected)
        );
    if (!isOurs) {
        throw new Error("wrong signature");
    }
};
""")


def standard_snippets():
    """(Python, Node) for Standard Webhooks."""
    return _STANDARD_PYTHON, _STANDARD_NODE


def key_snippets():
    """(Python, Node) for Standard Webhooks with an ed25519 key (v1a)."""
    return _KEY_PYTHON, _KEY_NODE


def template_snippets(header, value, signed, time_header, *, algorithm, encoding):
    """(Python, Node) for a signature by templates, which must be valid."""
    before, _body, after = signed.partition("{body}")
    prefix = value.split("{timestamp}")[0].rpartition(",")[2]
    pattern = "(\\d+)" if time_header else f"{re.escape(prefix)}(\\d+)"
    is_timed = bool(time_header) or "{timestamp}" in value
    values = {
        "header": json.dumps(header.lower()),
        "time_header": json.dumps((time_header or header).lower()),
        "time_pattern": json.dumps(pattern),
        "is_timed": str(is_timed),
        "is_timed_js": json.dumps(is_timed),
        "before": json.dumps(before),
        "after": json.dumps(after),
        "item": json.dumps(
            next(each for each in value.split(",") if "{signature}" in each)
        ),
        "algorithm": json.dumps(algorithm),
        "encoding": json.dumps(encoding),
        "encoded": _ENCODED[encoding],
    }
    return _TEMPLATE_PYTHON.substitute(values), _TEMPLATE_NODE.substitute(values)


_ENCODED = {"hex": "digest.hex()", "base64": "base64.b64encode(digest).decode()"}


def hmac_snippets(header, *, algorithm, encoding, prefix):
    """(Python, Node) for an HMAC header; arguments as for `signing.hmac_header`."""
    values = {
        "header": json.dumps(header.lower()),
        "algorithm": json.dumps(algorithm),
        "encoding": json.dumps(encoding),
        "prefix": json.dumps(prefix),
        "encoded": _ENCODED[encoding],
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
    # A text body was compressed on its way: curl sends it as it is shown.
    is_text = form is not None or bool(files) or not is_binary(body)
    for name, value in masked.items() if isinstance(masked, Mapping) else masked:
        if is_text and (name.lower(), value) == ("content-encoding", "gzip"):
            continue
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
    if is_binary(body):
        return "--data-binary @body.bin"
    return f"--data-raw {quote(body if isinstance(body, str) else body.decode())}"


def is_binary(body):
    """Whether no shell can pass this body as an argument."""
    if isinstance(body, bytes):
        try:
            body = body.decode("utf-8")
        except UnicodeDecodeError:
            return True
    return "\0" in (body or "")
