# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import Command, api, fields, models

from ..lane import sql
from ..lane.clock import utcnow
from ..services.values import storable_text
from .endpoint_queue import DRAFT, label_of
from .errors import refused

# Key of the deliveries of this transaction, stored on its cursor until it ends. A
# rollback to a savepoint doesn't change it: entries are verified before use.
REMEMBERED = "bwt_webhooks_outbound.by_action"
# Written by a user, these replace what the action would build.
CONTENT = {"payload_json", "endpoint_id", "res_model", "res_id"}
ERROR_LENGTH = 10_000  # characters kept of an error


class BwtWebhookOutboundDeliveryByAction(models.AbstractModel):
    """Deliveries that server actions queue: one per action, record and transaction."""

    _name = "bwt.webhook.outbound.delivery.by.action"
    _description = "Outbound Webhook Delivery: By a Server Action"

    server_action_id = fields.Many2one(
        comodel_name="ir.actions.server",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="The server action that queued it.",
    )
    needs_build = fields.Boolean(
        string="Not Built",
        readonly=True,
        copy=False,
        help="The server action could not build the payload. Queue builds it again, "
        "from the record as it is then.",
    )

    def write(self, vals):
        if CONTENT & vals.keys() and "needs_build" not in vals:
            # A user wrote the content or the record: keep that.
            vals = vals | {"needs_build": False}
        return super().write(vals)

    # What an action queues

    @api.model
    def _take_in_for_action(self, action, endpoint, requests):
        """Queue what `action` built; on an endpoint in draft, store it as draft.

        A delivery that the action queued about the same record in this transaction is
        updated with the current values, unless the action is set to queue each time.

        :param endpoint: active or in draft, with sudo
        :param requests: list of dicts with the arguments of `queue_delivery`
        :return: the deliveries
        """
        known = self._of_this_transaction(action, endpoint, requests)
        again, fresh = [], []
        for request in requests:
            (again if _key(action, request["record"]) in known else fresh).append(
                request
            )
        deliveries = self.browse()
        vals = {"server_action_id": action.id}
        if again:
            found = [known[_key(action, each["record"])] for each in again]
            deliveries += self._update_requested(endpoint, found, again)
        if fresh:
            if endpoint.state == "active":
                made = self._take_in(endpoint, fresh, vals)
            else:
                made = self._draft_all(endpoint, fresh, vals)
            self._remember(action, [each["record"] for each in fresh], made)
            deliveries += made
        return deliveries

    @api.model
    def _store_not_built(self, action, endpoint, records, text):
        """Store what could not be built as deliveries in Error, one per record.

        They have no next attempt and no ordering group.

        :param records: empty for one delivery about no record
        :param text: what is wrong and where
        """
        now = utcnow()
        vals = DRAFT | {
            "state": "error",
            "needs_build": True,
            "queued_at": now,
            "queue_number": 0,
            "failure_reason": "build",
            "processing_error": storable_text(text)[:ERROR_LENGTH],
        }
        subjects = [{"record": each} for each in records] or [{"record": None}]
        known = self._of_this_transaction(action, endpoint, subjects)
        deliveries = self._quiet().browse(row[0] for row in known.values())
        deliveries.write(vals)
        fresh = [
            each["record"]
            for each in subjects
            if _key(action, each["record"]) not in known
        ]
        made = self._quiet().create(
            [
                vals
                | {
                    "endpoint_id": endpoint.id,
                    "server_action_id": action.id,
                    "name": storable_text(label_of(endpoint, now)),
                    "supersede": action.bwt_webhook_supersede and bool(record),
                    "res_model": record._name if record else False,
                    "res_id": record.id if record else False,
                }
                for record in fresh
            ]
        )
        self._remember(action, fresh, made)
        return deliveries + made

    def _of_this_transaction(self, action, endpoint, requests):
        """Deliveries that the action queued in this transaction and may still update.

        :return: dict of key -> (id, state)
        """
        if action.bwt_webhook_each_time:
            return {}
        remembered = self.env.cr.postcommit.data.get(REMEMBERED, {})
        keys = [_key(action, each["record"]) for each in requests]
        ids = {remembered[key]: key for key in keys if key in remembered}
        if not ids:
            return {}
        self.env.flush_all()
        # Read from the database: a rollback to a savepoint may have removed some.
        self.env.cr.execute(sql.updatable(list(ids), endpoint.id))
        return {ids[row[0]]: row for row in self.env.cr.fetchall()}

    def _remember(self, action, records, deliveries):
        if action.bwt_webhook_each_time:
            return
        remembered = self.env.cr.postcommit.data.setdefault(REMEMBERED, {})
        for record, delivery in zip(records, deliveries, strict=True):
            if record:
                remembered[_key(action, record)] = delivery.id

    def _update_requested(self, endpoint, found, requests):
        """Update deliveries with the values of these requests.

        :param found: (id, state) of each
        """
        requested = self._read_requests(endpoint, requests, utcnow())
        quiet = self._quiet()
        deliveries = quiet.browse(delivery_id for delivery_id, _state in found)
        failed = quiet.browse(each for each, state in found if state == "error")
        if failed or quiet._has_foreign_hooks():
            for delivery, each in zip(deliveries, requested, strict=True):
                delivery._write_requested(each)
        else:
            self._update_rows(endpoint, deliveries, requested)
        if endpoint.state == "active":
            failed._put_in_queue(fresh=True)
        else:
            failed.write(DRAFT | {"failure_reason": False, "processing_error": False})
        return deliveries

    def _update_rows(self, endpoint, deliveries, requested):
        """Update with up to three statements for any number of deliveries."""
        cr = self.env.cr
        cr.execute_values(
            sql.REQUEUE_VALUES,
            [
                (delivery.id, each.vals["payload_json"], self.env.uid)
                for delivery, each in zip(deliveries, requested, strict=True)
            ],
        )
        if any(each.lines for each in requested):
            cr.execute(sql.delete_lines(deliveries.ids))
            deliveries._insert_lines(endpoint, deliveries.ids, requested)
        changed = ["payload_json", "context_line_ids", "write_date", "write_uid"]
        deliveries.invalidate_recordset(changed, flush=False)

    def _write_requested(self, requested, vals=None):
        """Write payload and context lines of a request; lines of other keys are kept.

        No line is deleted: `unlink` invalidates the whole cache, which the save that
        runs the action may be using.
        """
        known = {line.key_name: line.id for line in self.context_line_ids}
        self.write(
            (vals or {})
            | {
                "payload_json": requested.vals["payload_json"],
                "needs_build": False,
                "context_line_ids": [
                    Command.update(known[line["key_name"]], line)
                    if line["key_name"] in known
                    else Command.create(line)
                    for line in requested.lines
                ],
            }
        )

    # Build again

    def _build_again(self):
        """Build deliveries that their server action could not build before.

        :raise ValidationError: one still can't be built
        """
        for delivery in self.filtered("needs_build"):
            action = delivery.server_action_id.sudo()
            if not action:
                raise refused(
                    delivery,
                    self.env._(
                        "it was never built, and the server action that queued it was "
                        "deleted. Press Reset to Draft and write the payload, or "
                        "cancel it."
                    ),
                )
            request = action._bwt_webhook_request_again(delivery)
            [requested] = self._read_requests(
                delivery.endpoint_id, [request], utcnow(), None
            )
            delivery._write_requested(
                requested,
                {name: requested.vals[name] for name in ("res_model", "res_id")},
            )


def _key(action, record):
    """Key of the one delivery per transaction; None without a record."""
    return (action.id, record._name, record.id) if record else None
