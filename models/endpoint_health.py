# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields, models

CIRCUIT_STATES = [
    ("closed", "Closed"),
    ("open", "Open"),
    ("half_open", "Half-Open (Probing)"),
    ("manual", "Stopped by Receiver (410)"),
]


class EndpointHealth(models.Model):
    """How a target stands: written by the lane alone, so that it never meets a user.

    A lane and a person who edits the endpoint would otherwise write one row.
    """

    _name = "bwt.webhook.outbound.endpoint.health"
    _description = "Outbound Webhook Endpoint Health"
    _rec_name = "endpoint_id"
    _log_access = False

    endpoint_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.endpoint",
        required=True,
        ondelete="cascade",
        readonly=True,
    )
    company_id = fields.Many2one(related="endpoint_id.company_id")
    circuit_state = fields.Selection(
        selection=CIRCUIT_STATES,
        default="closed",
        required=True,
        readonly=True,
        help="As the last lane recorded it. Open: the target failed too often in a "
        "row; one probe is sent after a pause. Stopped by Receiver: the target "
        "answered 410 Gone; nothing is sent until the circuit is closed by hand.",
    )
    failure_streak = fields.Integer(readonly=True, help="Failures in a row.")
    opened_at = fields.Datetime(readonly=True)
    cooldown_seconds = fields.Float(readonly=True)
    next_probe_at = fields.Datetime(readonly=True)
    rate_tokens = fields.Float(readonly=True)
    rate_tokens_at = fields.Datetime(readonly=True)
    last_success_at = fields.Datetime(readonly=True)
    last_failure_at = fields.Datetime(readonly=True)
    shortage_at = fields.Datetime(
        readonly=True,
        help="When this Odoo server last lacked files, threads or memory to send.",
    )
    shortage = fields.Char(readonly=True, help="What this Odoo server lacked.")
    ordering_in_force = fields.Char(
        readonly=True,
        help="The order that the waiting deliveries are grouped for.",
    )

    _endpoint_unique = models.UniqueIndex("(endpoint_id)")
