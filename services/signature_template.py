# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""HMAC signatures over a time and the body, by two templates: what is signed, and the
header that holds the signature.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from .errors import ConfigurationError, _lt
from .signing import hmac_text

SIGNED_TOKENS = ("timestamp", "message_id", "body")
HEADER_TOKENS = ("timestamp", "message_id", "signature")
ID_TOKENS = ("message_id",)
_TOKEN = re.compile(r"\{([^{}]*)\}")


class Preset(NamedTuple):
    """How a known service signs: values of the endpoint's fields."""

    mode: str
    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    value: str = ""
    signed: str = ""
    timestamp_header: str = ""


# From each service's guide for receivers of its webhooks.
PRESETS = {
    "github": Preset("hmac", "X-Hub-Signature-256", prefix="sha256="),
    "shopify": Preset("hmac", "X-Shopify-Hmac-Sha256", encoding="base64"),
    "slack": Preset(
        "template",
        "X-Slack-Signature",
        value="v0={signature}",
        signed="v0:{timestamp}:{body}",
        timestamp_header="X-Slack-Request-Timestamp",
    ),
    "stripe": Preset(
        "template",
        "Stripe-Signature",
        value="t={timestamp},v1={signature}",
        signed="{timestamp}.{body}",
    ),
}


@dataclass(frozen=True)
class TemplateSignature:
    """One header with the HMAC of a text that contains time and body.

    header: its name; value: template of its value, see `HEADER_TOKENS`
    signed: template of what is signed, see `SIGNED_TOKENS`
    timestamp_header: name of a second header with the time, empty for none
    old_secret: signs too, until `old_until` (epoch), if the value is a list: its item
    with the signature is repeated, as Stripe does
    """

    header: str
    secret: str = field(repr=False)
    value: str
    signed: str
    timestamp_header: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    old_secret: str = field(default="", repr=False)
    old_until: float = 0.0

    def headers(self, message_id, now, body):
        """The headers that sign `body` (bytes or None) at `now` (epoch).

        Raises ConfigurationError for an empty secret or an invalid template.
        """
        values = {"timestamp": str(int(now)), "message_id": message_id}
        before, after = _around_body(self.signed)
        text = fill(before, values).encode() + (body or b"")
        text += fill(after, values).encode()
        value = check_template(self.value, HEADER_TOKENS, "signature")
        secrets = [self.secret]
        if self.old_secret and now < self.old_until and holds_several(value):
            secrets.append(self.old_secret)
        made = [
            hmac_text(each, text, self.algorithm, self.encoding) for each in secrets
        ]
        items = []
        for item in value.split(","):
            if "{signature}" in item:
                items += [item.replace("{signature}", each) for each in made]
            else:
                items.append(item)
        headers = {self.header: fill(",".join(items), values)}
        if self.timestamp_header:
            headers[self.timestamp_header] = values["timestamp"]
        return headers


def holds_several(value):
    """Whether a header value can hold two signatures: it is a list with commas."""
    return "," in (value or "")


def fill(template, values):
    """The template with its {tokens} replaced; others stay as they are."""
    return _TOKEN.sub(lambda found: values.get(found[1], found[0]), template)


def check_templates(value, signed, timestamp_header):
    """Raise ConfigurationError unless a receiver can verify what these make."""
    check_template(value, HEADER_TOKENS, "signature")
    check_template(signed, SIGNED_TOKENS, "body")
    if "{timestamp}" in signed and not timestamp_header and "{timestamp}" not in value:
        raise ConfigurationError(
            _lt(
                "the time is signed but not sent. Write {timestamp} in the header "
                "value too, or enter a header for the time."
            )
        )


@lru_cache(256)
def check_template(template, tokens, needed):
    """The template; ConfigurationError unless it has `needed` and only these tokens."""
    for name in _TOKEN.findall(template):
        if name not in tokens:
            raise ConfigurationError(
                _lt(
                    'the template "%(template)s" has the unknown token {%(name)s}. '
                    "Use one of: %(tokens)s."
                ),
                template=template,
                name=name,
                tokens=_listed(tokens),
            )
    if _TOKEN.findall(template).count(needed) != 1 or re.search(
        r"[{}]", _TOKEN.sub("", template)
    ):
        raise ConfigurationError(
            _lt(
                'the template "%(template)s" is not valid. Write the token '
                "{%(needed)s} once, and braces only around one of: %(tokens)s."
            ),
            template=template,
            needed=needed,
            tokens=_listed(tokens),
        )
    return template


def _around_body(template):
    before, _token, after = check_template(template, SIGNED_TOKENS, "body").partition(
        "{body}"
    )
    return before, after


def _listed(tokens):
    return ", ".join(f"{{{token}}}" for token in tokens)
