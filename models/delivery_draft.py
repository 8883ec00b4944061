# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is refused of the texts that a person writes into a draft."""

import json

from odoo import api, models

from ..services.errors import ServiceError
from ..services.headers import check_header_name
from .refusal import misconfigured


class DeliveryDraft(models.AbstractModel):
    """Checks of the texts when they are saved."""

    _name = "bwt.webhook.outbound.delivery.draft"
    _description = "Outbound Webhook Delivery: Draft"

    @api.constrains("request_headers_json", "payload_json")
    def _check_json(self):
        for delivery in self:
            delivery._loaded("payload_json")
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
                for name in headers:
                    check_header_name(name)
            except ServiceError as error:
                raise misconfigured(delivery, error) from error

    def _loaded(self, name):
        try:
            return json.loads(self[name], parse_constant=_refuse_constant)
        except ValueError as error:
            raise misconfigured(
                self,
                self.env._(
                    "%(field)s is no JSON: %(error)s. Mend the text.",
                    field=self._label_of(name),
                    error=error,
                ),
            ) from error

    def _label_of(self, name):
        return self._fields[name]._description_string(self.env)


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON value")
