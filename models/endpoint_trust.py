# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from dataclasses import dataclass

from odoo import fields, models

from ..services.egress import Policy
from .egress_policy import egress_policy
from .endpoint_policy import READERS


@dataclass(frozen=True)
class Trust:
    """What guards a request: where it may go, what must never be shown."""

    egress: Policy
    secrets: tuple[str, ...] = ()  # masked wherever a request is stored
    client_certificate: str | None = None  # PEM


class EndpointTrust(models.AbstractModel):
    _name = "bwt.webhook.outbound.endpoint.trust"
    _description = "Outbound Webhook Endpoint: Trust"

    circuit_reset_at = fields.Datetime(
        copy=False,
        groups=READERS,
        help="When a person closed the circuit: a rest that began before is over.",
    )

    def _trust(self) -> Trust:
        """What guards this endpoint's requests, as one value."""
        self.ensure_one()
        return Trust(egress=egress_policy(self.env))
