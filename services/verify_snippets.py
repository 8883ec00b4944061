# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sample code for receivers to verify our signatures, in Python and Node."""

import json
from string import Template

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
