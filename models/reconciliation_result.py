# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.tools import SQL

from .const import DELIVERY, RECONCILIATION
from .delivery_record import open_record, record_labels
from .fields import CopiedRelation
from .reconciliation_check import MISSING, STORED, VERDICTS


class BwtWebhookOutboundReconciliationResult(models.Model):
    """What has become of one record. Checks insert these rows by SQL."""

    _name = f"{RECONCILIATION}.result"
    _description = "Outbound Webhook Reconciliation Result"
    _order = "reconciliation_id, res_id"
    _rec_name = "res_id"
    _log_access = False

    reconciliation_id = fields.Many2one(
        comodel_name=RECONCILIATION, required=True, ondelete="cascade", readonly=True
    )
    # That of the reconciliation.
    company_id = CopiedRelation(comodel_name="res.company", readonly=True)
    delivery_id = fields.Many2one(
        comodel_name=DELIVERY,
        string="Last Delivery",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        help="The last delivery that the server action queued about the record.",
    )
    check_number = fields.Integer(readonly=True, aggregator=False)
    res_model = fields.Char(string="Record Model", readonly=True)
    res_id = fields.Many2oneReference(
        string="Record ID", model_field="res_model", readonly=True
    )
    verdict = fields.Selection(
        selection=[each for each in VERDICTS if each[0] in STORED],
        string="Result",
        readonly=True,
        help="Never Queued: no delivery. Failed: the last one failed permanently. "
        "Outdated: the payload of today isn't the one that was delivered. Canceled: "
        "the last one was canceled. Waiting: it is on its way.",
    )
    record_name = fields.Char(
        string="Record",
        compute="_compute_record_name",
        help="Without access to the record: its model and ID.",
    )

    _found = models.Index("(reconciliation_id, check_number, verdict, res_id)")

    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "lang", "allowed_company_ids")
    def _compute_record_name(self):
        labels = record_labels(
            self.env, {(each.res_model, each.res_id) for each in self if each.res_id}
        )
        for result in self:
            label = labels.get((result.res_model, result.res_id))
            result.record_name = label and label.text

    def action_view_record(self):
        """Open the record."""
        self.ensure_one()
        self.check_access("read")
        return open_record(self)


def new_missing(reconciliation_id: int, number: int) -> SQL:
    """Whether a check has found a record missing that those before have not."""
    return SQL(
        """SELECT EXISTS (
            SELECT 1 FROM bwt_webhook_outbound_reconciliation_result c
            WHERE c.reconciliation_id = %(id)s AND c.check_number = %(number)s
            AND c.verdict = ANY(%(missing)s) AND NOT EXISTS (
                SELECT 1 FROM bwt_webhook_outbound_reconciliation_result p
                WHERE p.reconciliation_id = %(id)s AND p.check_number < %(number)s
                AND p.verdict = ANY(%(missing)s) AND p.res_model = c.res_model
                AND p.res_id = c.res_id
            )
        )""",
        id=reconciliation_id,
        number=number,
        missing=list(MISSING),
    )


def delete_results(reconciliation_id: int, first: int, last: int | None = None) -> SQL:
    """Forget what these checks have found."""
    return SQL(
        """DELETE FROM bwt_webhook_outbound_reconciliation_result
        WHERE reconciliation_id = %s AND check_number BETWEEN %s AND %s""",
        reconciliation_id,
        first,
        first if last is None else last,
    )
