# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Drafts written by users: required values, and checks when saved."""

import json

from odoo import Command, api, models

from ..services.errors import ServiceError
from ..services.headers import check_header, check_header_name, header_text_of
from ..services.jsonable import to_json_value
from .delivery_input import BwtWebhookOutboundDeliveryInput
from .endpoint_summary import missing_values_message, token_keys
from .errors import misconfigured

NO_VALUE = (False, "", '""', "null", "false")


class BwtWebhookOutboundDeliveryDraft(models.AbstractModel):
    """Lines for the tokens of the endpoint, and checks of the texts when saved."""

    _name = "bwt.webhook.outbound.delivery.draft"
    _description = "Outbound Webhook Delivery: Draft"

    @api.onchange("endpoint_id")
    def _onchange_endpoint(self):
        """Add a line for each {token} of the endpoint that has none yet."""
        known = set(self.context_line_ids.mapped("key_name"))
        self.context_line_ids = [
            Command.create({"key_name": key})
            for key in token_keys(self.endpoint_id.sudo())
            if key not in known
        ]

    def _missing_values_message(self):
        """Message on {tokens} of the endpoint without a value; False if none."""
        given = {
            line.key_name
            for line in self.context_line_ids
            if line.active
            and (line.source_kind != "literal" or line.literal_value not in NO_VALUE)
        }
        needs = missing_values_message(self.endpoint_id.sudo(), given)
        return needs and self.env._(
            "%(needs)s: add it on the page Context, then press Queue.", needs=needs
        )

    def _refuse_without_values(self):
        """Refuse to queue a draft with {tokens} without a value: it would fail."""
        if (
            type(self)._get_context_values
            is not BwtWebhookOutboundDeliveryInput._get_context_values
        ):
            return  # another addon may provide the missing values
        # A delivery that its server action builds again gets its lines from that.
        for delivery in self.filtered(lambda each: not each.needs_build):
            missing = delivery._missing_values_message()
            if missing:
                raise delivery._refused(missing)

    @api.constrains("request_headers_json", "payload_json")
    def _check_json(self):
        for delivery in self:
            try:
                to_json_value(delivery._loaded("payload_json"), "payload")
            except ServiceError as error:
                raise misconfigured(delivery, error) from error
            headers = delivery._loaded("request_headers_json")
            if not isinstance(headers, dict):
                raise misconfigured(
                    delivery,
                    self.env._(
                        "%(field)s must be a JSON object of names and values, as "
                        '{"X-Shop": "1"}, not %(value)s.',
                        field=delivery._label_of("request_headers_json"),
                        value=delivery.request_headers_json[:80],
                    ),
                )
            try:
                to_json_value(headers, "headers")
                for name, value in headers.items():
                    check_header_name(name)
                    text = header_text_of(value, name)
                    # Deliveries queued by code fail with a message when they are built.
                    if delivery.state == "draft":
                        check_header(name, text)
            except ServiceError as error:
                raise misconfigured(delivery, error) from error

    def _loaded(self, name):
        try:
            return json.loads(self[name], parse_constant=_refuse_constant)
        except RecursionError as error:
            problem, cause = self.env._("it is nested too deeply"), error
        except ValueError as error:
            problem, cause = error, error
        raise misconfigured(
            self,
            self.env._(
                "%(field)s is not valid JSON: %(error)s. Correct the text.",
                field=self._label_of(name),
                error=problem,
            ),
        ) from cause

    def _label_of(self, name):
        return self._fields[name]._description_string(self.env)


def _refuse_constant(name):
    raise ValueError(f"{name} is not a JSON value")
