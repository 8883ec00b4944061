# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models

from ..lane.clock import utcnow
from .const import UNFINISHED


class DeliveryHeld(models.AbstractModel):
    """What a delivery waits for, and what waits for it, in words."""

    _name = "bwt.webhook.outbound.delivery.held"
    _description = "Outbound Webhook Delivery: What Holds It"

    def _held_by_endpoint(self):
        """Why the endpoint sends nothing at present; False when it does."""
        endpoint = self.endpoint_id.sudo()
        states = dict(endpoint._fields["state"]._description_selection(self.env))
        if endpoint.state != "active":
            values = {"name": endpoint.name, "state": states.get(endpoint.state)}
            if self.state == "draft":
                return self.env._(
                    'Endpoint "%(name)s" is in state %(state)s: activate it, then '
                    "press Queue.",
                    **values,
                )
            return self.env._(
                'Waits: endpoint "%(name)s" is in state %(state)s. Activate it.',
                **values,
            )
        if endpoint.is_paused:
            return self.env._(
                'Waits: endpoint "%s" is paused. Resume it.', endpoint.name
            )
        if self.state == "draft":
            return False
        if endpoint.circuit_state in (False, "closed"):
            return self._held_by_receiver(endpoint)
        if endpoint.circuit_state == "manual":
            return self.env._(
                'Waits: the target of endpoint "%s" answered 410 Gone. Correct host or '
                "path there, then press Close Circuit.",
                endpoint.name,
            )
        return self.env._(
            'Waits: the target of endpoint "%s" failed too often in a row and is only '
            "probed. Sending continues when the target answers a probe, or when Close "
            "Circuit is pressed there.",
            endpoint.name,
        )

    def _held_by_receiver(self, endpoint):
        """Until when the receiver wants no request; False when it didn't say."""
        until = endpoint.next_probe_at
        return bool(until and until > utcnow()) and self.env._(
            'Waits: the receiver of endpoint "%(name)s" asked for no requests '
            "until %(until)s UTC (Retry-After). It is sent then.",
            name=endpoint.name,
            until=f"{until:%H:%M:%S}",
        )

    def _held_by_order(self):
        """Which delivery must end first; False when none."""
        first = self._in_line([("queue_number", "<", self.queue_number)], 1)
        return first and self.env._(
            'Waits behind "%s", which must end first: they go one after the other.',
            first.name,
        )

    def _holds_back(self):
        """How many wait for this one."""
        count = len(self._in_line([("queue_number", ">", self.queue_number)], 100))
        if not count:
            return False
        return self.env._(
            "Held back behind it, until it is done, dead-lettered or canceled: %s.",
            self.env._("100 or more") if count == 100 else count,
        )

    def _in_line(self, domain, limit):
        if not self.ordering_group or not isinstance(self.id, int):
            return self.browse()
        return self.sudo().search(
            [
                ("endpoint_id", "=", self.endpoint_id.id),
                ("ordering_group", "=", self.ordering_group),
                ("state", "in", UNFINISHED),
                *domain,
            ],
            order="queue_number",
            limit=limit,
        )
