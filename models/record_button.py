# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the button Webhooks on the form of a record shows: a few short statements."""

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from .const import DELIVERY, ENDPOINT, EXTERNAL_REF, GROUP_OPERATOR, RECONCILIATION
from .reconciliation_check import MISSING, LastDelivery, last_deliveries

REFERENCES_SHOWN = 3


def count_and_last(query) -> SQL:
    """How many deliveries a query finds, and the id of the newest one."""
    # Materialized: else the newest one may be looked for in all of history.
    return SQL(
        "WITH about AS MATERIALIZED (%s) SELECT count(*), max(id) FROM about",
        query.select(),
    )


class BwtWebhookOutboundRecordButton(models.AbstractModel):
    """The server's side of the button; stores nothing."""

    _name = "bwt.webhook.outbound.record.button"
    _description = "Outbound Webhooks: Button on Records"

    @api.model
    @api.readonly
    def action_read_button(self, model_name, record_id):
        """The deliveries about a record, as far as the user may read both.

        :return: empty dict if there is nothing to show to this user
        """
        record = self._readable(model_name, record_id)
        if not record:
            return {}
        deliveries = self.env[DELIVERY]
        about = deliveries._search(
            [("res_model", "=", model_name), ("res_id", "=", record.id)]
        )
        [(count, last_id)] = self.env.execute_query(count_and_last(about))
        last = deliveries.browse(last_id or ())
        labels = dict(deliveries._fields["state"]._description_selection(self.env))
        return {
            "count": count,
            "state": last.state or False,
            "label": labels.get(last.state) or False,
            "missing": self._missing(record),
            "references": self._references(record),
        }

    @api.model
    def action_open_deliveries(self, model_name, record_id):
        """The list of the deliveries about a record."""
        record = self._readable(model_name, record_id)
        if not record:
            raise AccessError(
                self.env._(
                    "You may not read this record or its deliveries. Ask an "
                    "administrator for access."
                )
            )
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_delivery"
        )
        return action | {
            "domain": [("res_model", "=", model_name), ("res_id", "=", record.id)],
            "name": self.env._("Webhook Deliveries"),
            "context": {},
        }

    def _readable(self, model_name, record_id):
        """The record; empty if the user may not read it or no deliveries."""
        model = self.env.get(model_name) if isinstance(model_name, str) else None
        if (
            model is None
            or model._abstract
            or model._transient
            or type(record_id) is not int
            or not 0 < record_id < 2**31
            or not self.env.user.has_group(GROUP_OPERATOR)
        ):
            return False
        record = model.browse(record_id).exists()
        return record if record and record.has_access("read") else False

    def _missing(self, record):
        """What a reconciliation has found, unless it was delivered since; else False.

        It knows what the last check has found, and the deliveries since. A change
        after the check is known to the next one.
        """
        checks = self.env[RECONCILIATION].search(
            [("res_model", "=", record._name), ("checked_at", "!=", False)]
        )
        results = self.env[f"{RECONCILIATION}.result"]
        for check in checks:
            found = results.search(
                [
                    ("reconciliation_id", "=", check.id),
                    ("check_number", "=", check.check_number),
                    ("verdict", "in", MISSING),
                    ("res_id", "=", record.id),
                ],
                limit=1,
            )
            if found and not self._arrives(check, record, found.delivery_id):
                return self.env._(
                    'Found by the reconciliation "%(name)s", checked %(date)s (UTC).',
                    name=check.name,
                    date=fields.Datetime.to_string(check.checked_at),
                )
        return False

    def _arrives(self, check, record, checked_delivery):
        """Whether the record as it is was delivered since the check, or is on its way.

        :param checked_delivery: the last one about it at the time of the check
        """
        action = check.sudo().action_id
        self.env[DELIVERY].flush_model()
        rows = self.env.execute_query(
            last_deliveries(action.id, record._name, [record.id])
        )
        if not rows:
            return False
        last = LastDelivery(*rows[0])
        if last.waits:
            return True
        if not last.known_at or last.done_id <= (checked_delivery.id or 0):
            return False
        written = record.write_date if "write_date" in record._fields else None
        return not written or written <= last.known_at

    def _references(self, record):
        """IDs of the record at receivers."""
        endpoints = self.env[ENDPOINT].search_fetch([], ["reference_scope"])
        scopes = set(endpoints.mapped("reference_scope"))
        refs = self.env[EXTERNAL_REF].search(
            [
                ("reference_scope", "in", list(scopes)),
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
            ],
            limit=REFERENCES_SHOWN,
        )
        return refs.mapped("external_id")
