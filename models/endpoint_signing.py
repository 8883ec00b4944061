# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint's security: signatures by template, presets, public key."""

from odoo import api, fields, models

from ..services.errors import ServiceError
from ..services.headers import check_header, check_header_name
from ..services.signature_template import (
    PRESETS,
    TemplateSignature,
    check_templates,
    holds_several,
)
from ..services.signing import public_key_of
from ..services.snippets import (
    hmac_snippets,
    key_snippets,
    standard_snippets,
    template_snippets,
)
from .const import GROUP_OPERATOR
from .errors import misconfigured

SIGNATURE_PRESETS = [
    ("github", "GitHub"),
    ("shopify", "Shopify"),
    ("slack", "Slack"),
    ("stripe", "Stripe"),
]
# Fields of the endpoint that a preset sets, by signing mode.
_SET_ALWAYS = {
    "signing_mode": "mode",
    "hmac_header_name": "header",
    "hmac_algorithm": "algorithm",
    "hmac_encoding": "encoding",
}
SET_BY_PRESET = {
    "hmac": _SET_ALWAYS | {"hmac_prefix": "prefix"},
    "template": _SET_ALWAYS
    | {
        "signature_value_template": "value",
        "signature_text_template": "signed",
        "signature_time_header": "timestamp_header",
    },
}


class BwtWebhookOutboundEndpointSigning(models.AbstractModel):
    """Signatures over a time and the body, by templates; presets; the public key."""

    _name = "bwt.webhook.outbound.endpoint.signing"
    _description = "Outbound Webhook Endpoint: Signatures"
    _inherit = "bwt.webhook.outbound.endpoint.secrets"

    signature_preset = fields.Selection(
        selection=SIGNATURE_PRESETS,
        string="Sign Like",
        compute="_compute_signature_preset",
        readonly=False,
        groups=GROUP_OPERATOR,
        help="Sets the fields of the signature to what this service sends. Receivers "
        "can then use its libraries.",
    )
    signature_value_template = fields.Char(
        string="Header Value",
        default=PRESETS["stripe"].value,
        groups=GROUP_OPERATOR,
        help="Value of the signature header: {signature} once, and {timestamp} (Unix "
        "time) or {message_id}. In a list with commas, the item with the signature "
        "is repeated for the old secret while it is replaced.",
    )
    signature_text_template = fields.Char(
        string="Signed Text",
        default=PRESETS["stripe"].signed,
        groups=GROUP_OPERATOR,
        help="What is signed: {body} once, and {timestamp} (Unix time) or "
        "{message_id}.",
    )
    signature_time_header = fields.Char(
        string="Time Header",
        groups=GROUP_OPERATOR,
        help="Header with the time of the signature (Unix time), such as "
        "X-Slack-Request-Timestamp. Empty: none.",
    )
    signing_public_key = fields.Char(
        string="Public Key",
        compute="_compute_signing_public_key",
        groups=GROUP_OPERATOR,
        help="Of a key pair (Standard Webhooks, v1a). Give it to the receiver: it "
        "verifies signatures and can't make any.",
    )
    signs_twice = fields.Boolean(
        string="Two Signatures",
        compute="_compute_signs_twice",
        groups=GROUP_OPERATOR,
        help="A request can be signed with the old and the new secret.",
    )

    @api.depends(*SET_BY_PRESET["hmac"], *SET_BY_PRESET["template"])
    def _compute_signature_preset(self):
        for endpoint in self:
            endpoint.signature_preset = next(
                (name for name in PRESETS if endpoint._is_signed_like(name)), False
            )

    def _is_signed_like(self, name):
        return all(
            (self[field] or "") == (value or "")
            for field, value in preset_values(name).items()
        )

    @api.onchange("signature_preset")
    def _onchange_signature_preset(self):
        if self.signature_preset:
            self.update(preset_values(self.signature_preset))

    @api.model
    def _with_preset(self, vals):
        """The values, with those of a preset that they name; given ones are kept."""
        if "signature_preset" not in vals:
            return vals
        name = vals["signature_preset"]
        rest = {key: each for key, each in vals.items() if key != "signature_preset"}
        return (preset_values(name) if name in PRESETS else {}) | rest

    # The secret is not named: nobody may depend on its column but superuser code, and
    # `has_signing_secret` changes with it.
    @api.depends("signing_mode", "has_signing_secret")
    def _compute_signing_public_key(self):
        for endpoint in self:
            is_key = endpoint.signing_mode == "standard"
            try:
                endpoint.signing_public_key = is_key and public_key_of(
                    endpoint._read_secret("signing_secret")
                )
            except ServiceError:  # shown where it is used: with each delivery
                endpoint.signing_public_key = False

    @api.depends("signing_mode", "signature_value_template")
    def _compute_signs_twice(self):
        for endpoint in self:
            mode, value = endpoint.signing_mode, endpoint.signature_value_template
            endpoint.signs_twice = mode == "standard" or (
                mode == "template" and holds_several(value)
            )

    @api.constrains(*SET_BY_PRESET["template"])
    def _check_signature_templates(self):
        for endpoint in self:
            if endpoint.signing_mode != "template":
                continue
            value = endpoint.signature_value_template or ""
            signed = endpoint.signature_text_template or ""
            time_header = endpoint.signature_time_header
            try:
                check_header_name(endpoint.hmac_header_name or "")
                if time_header:
                    check_header_name(time_header)
                check_templates(value, signed, time_header)
                check_header(endpoint.hmac_header_name, value)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    def _template_signature(self, **secrets):
        return TemplateSignature(
            header=self.hmac_header_name or "",
            value=self.signature_value_template or "",
            signed=self.signature_text_template or "",
            timestamp_header=self.signature_time_header or "",
            algorithm=self.hmac_algorithm,
            encoding=self.hmac_encoding,
            **secrets,
        )


def preset_values(name):
    """Fields of the endpoint -> values, of a preset."""
    preset = PRESETS[name]
    fields_set = SET_BY_PRESET[preset.mode]
    return {field: getattr(preset, part) for field, part in fields_set.items()}


def snippets_of(endpoint):
    """(Python, Node) for receivers of this endpoint; None without a valid signature."""
    header = endpoint.hmac_header_name or ""
    options = {
        "algorithm": endpoint.hmac_algorithm,
        "encoding": endpoint.hmac_encoding,
    }
    if endpoint.signing_mode == "standard":
        return key_snippets() if endpoint.signing_public_key else standard_snippets()
    if endpoint.signing_mode == "hmac":
        return hmac_snippets(header, prefix=endpoint.hmac_prefix or "", **options)
    if endpoint.signing_mode != "template":
        return None
    value = endpoint.signature_value_template or ""
    signed = endpoint.signature_text_template or ""
    time_header = endpoint.signature_time_header or ""
    try:
        check_templates(value, signed, time_header)
    except ServiceError:  # while it is being entered
        return None
    return template_snippets(header, value, signed, time_header, **options)
