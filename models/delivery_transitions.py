# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The buttons of a delivery, and what they do to its state."""

from typing import NamedTuple

from psycopg2 import errors as pg_errors

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, split_every
from odoo.tools.misc import format_date

from ..lane import jobs, sql
from ..lane.clock import utcnow
from ..lane.inline_run import DirectRun
from ..lane.pacing import check_size
from ..services.errors import ConfigurationError, ServiceError, _lt
from .action_run import build_again
from .const import GROUP_OPERATOR
from .delivery_access import engine_defaults
from .delivery_failures import AT_ONCE, BulkResult, bulk_question
from .delivery_record import open_record
from .delivery_request import BwtWebhookOutboundDeliveryRequest
from .delivery_status_message import DeliveryStatusMessage
from .endpoint_alerts import close_failure_alerts
from .errors import refused, translate
from .queue_request import ordering_group, record_key

# A lane has locked the row, or changed it since this transaction began.
TAKEN = (pg_errors.SerializationFailure, pg_errors.LockNotAvailable)
BULK_CHUNK = 200


class Transition(NamedTuple):
    """What a button does: from which states, and what it is called when it is done."""

    sources: tuple[str, ...]
    label: str

    def done(self, env):
        return translate(env, self.label)


TRANSITIONS = {
    "queue": Transition(("draft", "error"), _lt("queued")),
    "send_now": Transition(("queued",), _lt("sent now")),
    "retry_now": Transition(("error", "dead_letter"), _lt("queued again")),
    "resend": Transition(
        ("done", "error", "dead_letter", "canceled"), _lt("queued again")
    ),
    "reset": Transition(("error", "dead_letter", "canceled"), _lt("reset to draft")),
    "cancel": Transition(("draft", "error", "dead_letter", "queued"), _lt("canceled")),
    "dead_letter": Transition(("draft", "error"), _lt("dead-lettered")),
    "replay": Transition(
        ("draft", "done", "error", "dead_letter", "canceled"), _lt("replayed")
    ),
}


# They send what is stored, so they need it.
NEED_CONTENT = {"queue", "send_now", "retry_now", "reset", "replay"}


class BwtWebhookOutboundDeliveryTransitions(models.AbstractModel):
    """The buttons of a delivery: for one, for many, and how it gets into the queue."""

    _name = "bwt.webhook.outbound.delivery.transitions"
    _description = "Outbound Webhook Delivery: Transitions"

    queue_job_ids = fields.Many2many(
        comodel_name="queue.job", compute="_compute_queue_jobs", string="Jobs"
    )
    queue_job_count = fields.Integer(compute="_compute_queue_jobs")
    latest_queue_job_id = fields.Many2one(
        comodel_name="queue.job", compute="_compute_queue_jobs"
    )
    latest_queue_job_state = fields.Char(compute="_compute_queue_jobs")
    latest_job_state = fields.Char(
        string="Latest Job",
        compute="_compute_latest_job_state",
        help="State of the newest job that worked on it.",
    )

    @api.depends("job_uuid", "attempt_ids.job_uuid")
    def _compute_queue_jobs(self):
        uuids = {
            delivery: {delivery.job_uuid, *delivery.attempt_ids.mapped("job_uuid")}
            for delivery in self
        }
        all_jobs = jobs.find_jobs(self.env, set().union(*uuids.values()) - {False})
        for delivery in self:
            found = all_jobs.filtered(lambda job, d=delivery: job.uuid in uuids[d])
            delivery.queue_job_ids = found
            delivery.queue_job_count = len(found)
            delivery.latest_queue_job_id = found[:1]
            delivery.latest_queue_job_state = found[:1].state

    @api.depends("latest_queue_job_state")
    @api.depends_context("lang")
    def _compute_latest_job_state(self):
        labels = jobs.state_labels(self.env)
        for delivery in self:
            delivery.latest_job_state = labels.get(delivery.latest_queue_job_state)

    # Buttons

    def action_queue_delivery(self):
        if self.env.context.get("refuse_without_values"):  # the form's button
            self._refuse_missing_values()
        self._act("queue")
        return True

    def action_send_now(self):
        self._act("send_now")
        return True

    def action_retry_now(self):
        self._act("retry_now")
        return True

    def action_reset_to_draft(self):
        self._act("reset")
        return True

    def action_cancel_delivery(self):
        self._act("cancel")
        return True

    def action_dead_letter(self):
        self._act("dead_letter")
        return True

    def action_create_replay_delivery(self):
        replays = self._act("replay")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_delivery"
        )
        if len(replays) == 1:
            return action | {
                "res_id": replays.id,
                "view_mode": "form",
                "views": [(False, "form")],
            }
        return action | {"domain": [("id", "in", replays.ids)], "context": {}}

    def action_view_queue_jobs(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_queue_job"
        )
        return action | {
            "domain": [("id", "in", self.queue_job_ids.ids)],
            "context": {},
        }

    def action_view_record(self):
        """Open the record that the delivery is about."""
        self.ensure_one()
        return open_record(self)

    # Their implementation

    def _refuse_missing_values(self):
        """Refuse to queue a draft with {tokens} without a value: it would fail."""
        ours = BwtWebhookOutboundDeliveryRequest._get_context_values
        if type(self)._get_context_values is not ours:
            return  # another addon may provide the missing values
        # A delivery that its server action builds again gets its lines from that.
        for delivery in self.filtered(lambda each: not each.needs_build):
            missing = DeliveryStatusMessage(delivery).missing_values()
            if missing:
                raise refused(delivery, missing)

    def _act(self, name):
        """Apply one transition to all of self, or to none: an illegal one raises."""
        self._check_operator()
        try:
            with self.env.cr.savepoint():
                fit, unfit = self._lock_fitting(TRANSITIONS[name], wait=True)
        except pg_errors.LockNotAvailable:
            fit, unfit = self, [(self[:1], self.env._("being sent right now"))]
        for delivery, why in unfit:
            if delivery.content_deleted_at and name in NEED_CONTENT:
                raise refused(delivery, delivery._why_not_sent_again())
            done = TRANSITIONS[name].done(self.env)
            raise refused(
                delivery,
                self.env._(
                    "it can't be %(done)s: it is %(why)s. Use the buttons that its "
                    "form shows in that state.",
                    done=done,
                    why=why,
                ),
            )
        return fit._apply(name)

    def _check_operator(self):
        if not self.env.su and not self.env.user.has_group(GROUP_OPERATOR):
            raise AccessError(
                self.env._(
                    "Only webhooks operators may change deliveries. Ask one of "
                    "them, or ask an administrator for that role."
                )
            )
        self.check_access("read")

    def _lock_fitting(self, transition, *, wait):
        """Lock rows; returns those in a valid state, and (delivery, why) of the others.

        `wait`: a row locked by a lane raises LockNotAvailable; else it is left out.
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT id FROM bwt_webhook_outbound_delivery WHERE id = ANY(%s) "
                "ORDER BY id FOR NO KEY UPDATE %s",
                list(self.ids),
                SQL("NOWAIT") if wait else SQL("SKIP LOCKED"),
            ),
            log_exceptions=False,  # the caller reports it to the user
        )
        locked = self.browse([row[0] for row in self.env.cr.fetchall()])
        self.invalidate_recordset()
        labels = dict(self._fields["state"]._description_selection(self.env))
        left = [
            (each, self.env._("being sent right now"))
            for each in (self - locked).exists()
        ]
        left += [
            (each, self.env._("in state %s", labels[each.state]))
            for each in locked
            if each.state not in transition.sources
        ]
        fit = locked.filtered(lambda each: each.state in transition.sources)
        if transition in [TRANSITIONS[name] for name in NEED_CONTENT]:
            emptied = fit.filtered("content_deleted_at")
            left += [(each, self.env._("without its content")) for each in emptied]
            fit -= emptied
        return self & fit, left

    def _why_not_sent_again(self):
        return self.env._(
            "its content was deleted on %s, so it can't be sent again. Run its server "
            "action on the record, or backfill it.",
            format_date(self.env, self.content_deleted_at),
        )

    def _refuse_emptied(self):
        for delivery in self.filtered("content_deleted_at"):
            raise refused(delivery, delivery._why_not_sent_again())

    def _apply(self, name):
        deliveries = self.sudo()
        result = getattr(deliveries, f"_do_{name}")()
        close_failure_alerts(deliveries.endpoint_id)
        return result

    def _do_queue(self):
        for endpoint in self.endpoint_id:
            endpoint._check_queueable()
        self._put_in_queue(fresh=True)

    def _do_send_now(self):
        """Those that wait for a later time are due now, in their place of the queue."""
        waiting = self.filtered("is_scheduled")
        for endpoint in waiting.endpoint_id:
            endpoint._check_queueable()
        waiting.write({"next_attempt_at": utcnow()})
        waiting._wake_lanes()

    def _do_retry_now(self):
        for endpoint in self.endpoint_id:
            endpoint._check_queueable()
        self.filtered(lambda each: each.state == "dead_letter").retry_number = 0
        self._put_in_queue()

    def _do_resend(self):
        """As Retry, of what has ended too: the same message ID, place and history."""
        for endpoint in self.endpoint_id:
            endpoint._check_queueable()
        self._put_in_queue(fresh=True)

    def _do_reset(self):
        self._refuse_emptied()
        self._note_edit()  # what is queued from a draft is built from the record again
        self.write(
            {
                "state": "draft",
                "queued_at": False,
                "processed_at": False,
                "next_attempt_at": False,
                "retry_number": 0,
                "interruption_count": 0,
                "build_tries": 0,
                "queue_number": 0,
                "ordering_group": False,
                "failure_reason": False,
                "processing_note": False,
                "processing_error": False,
                "matched_outbound_rule_id": False,
                "response_status_code": False,
                "response_headers_json": False,
                "response_body": False,
            }
        )
        self.endpoint_id._wake_next_in_group()

    def _do_cancel(self):
        self._end("canceled")

    def _do_dead_letter(self):
        self._end("dead_letter")

    def _end(self, state):
        self.write(
            {
                "state": state,
                "processed_at": utcnow(),
                "next_attempt_at": False,
            }
        )
        self.endpoint_id._wake_next_in_group()

    def _do_replay(self):
        self._refuse_emptied()
        replays = self.browse()
        for delivery in self:
            number = delivery.replay_count + 1
            replay = delivery.copy(
                engine_defaults(self)
                | {
                    "name": f"{delivery.name} / Replay {number}",
                    "replayed_from_delivery_id": delivery.id,
                    "origin": "replay",
                    "server_action_id": delivery.server_action_id.id,
                    "needs_build": delivery.needs_build,
                    "record_values_json": delivery.sudo().record_values_json,
                }
            )
            delivery._copy_files_to(replay)
            delivery.replay_count = number
            replays += replay
        return replays.sudo(False)

    def _copy_files_to(self, replay):
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", self._name), ("res_id", "=", self.id)]
        )
        try:
            attachments._bwt_webhook_copy_to(replay.id)
        except ServiceError as error:
            raise refused(self, error) from error

    # Many deliveries, while lanes are running

    def action_bulk(self, name):
        """Apply transition `name` where possible, and report the rest.

        :return: a notification that counts what was done and names what was not
        """
        return self._bulk(name).notification()

    @api.model
    def action_bulk_search(self, domain, name):
        """As `action_bulk`, for what a search finds: the first AT_ONCE in queue order.

        The endpoints get a note, since deliveries aren't tracked one by one.
        """
        transition = self._transition(name)
        self._check_operator()
        domain = Domain(domain) & Domain("state", "in", transition.sources)
        deliveries = self.search(domain, order="queue_number, id", limit=AT_ONCE)
        result = deliveries.with_context(tracking_disable=True)._bulk(name)
        result.post_notes(self.env._("Bulk action:"))
        return result.notification()

    @api.model
    def action_bulk_question(self, domain, name):
        """What `action_bulk_search` would do, to be confirmed by the user.

        :return: `count` of deliveries, and `message`
        """
        transition = self._transition(name)
        self._check_operator()
        by_state = dict(self._read_group(domain, ["state"], ["__count"]))
        fitting = Domain(domain) & Domain("state", "in", transition.sources)
        endpoints = [each for (each,) in self._read_group(fitting, ["endpoint_id"])]
        return bulk_question(self.env, transition, by_state, endpoints)

    def _transition(self, name):
        if name not in TRANSITIONS:
            raise ValidationError(
                self.env._(
                    "The bulk action %(name)s doesn't exist. Use one of: %(names)s.",
                    name=name,
                    names=", ".join(TRANSITIONS),
                )
            )
        return TRANSITIONS[name]

    def _bulk(self, name):
        """Apply transition `name` where possible; returns a `BulkResult`."""
        result = BulkResult(self.browse(), self._transition(name))
        self._check_operator()
        for endpoint, deliveries in self.grouped("endpoint_id").items():
            for ids in split_every(BULK_CHUNK, deliveries.ids):
                chunk = self.browse(ids)
                try:
                    with self.env.cr.savepoint():
                        fit, unfit = chunk._lock_fitting(result.transition, wait=False)
                        fit._apply(name)
                    result.add(fit, unfit)
                except (*TAKEN, ValidationError) as error:
                    self.env.invalidate_all()
                    if getattr(error, "record", None) == endpoint:
                        result.add(left=[(each, str(error)) for each in chunk])
                    else:
                        chunk._one_by_one(name, result)
        return result

    def _one_by_one(self, name, result):
        for delivery in self:
            try:
                with self.env.cr.savepoint():
                    fit, unfit = delivery._lock_fitting(result.transition, wait=False)
                    fit._apply(name)
                result.add(fit, unfit)
            except (*TAKEN, ValidationError) as error:
                self.env.invalidate_all()
                if isinstance(error, TAKEN):
                    why = self.env._("being sent right now")
                else:
                    is_own = getattr(error, "record", None) == delivery
                    why = error.reason if is_own else str(error)
                result.add(left=[(delivery, why)])

    # The queue

    def _draw_queue_numbers(self, count):
        """Draw new queue numbers, in order."""
        self.env.cr.execute(
            SQL(
                "SELECT nextval('bwt_webhook_outbound_queue_number') "
                "FROM generate_series(1, %s)",
                count,
            )
        )
        return [row[0] for row in self.env.cr.fetchall()]

    def _put_in_queue(self, fresh=False):
        """Make these due and wake their lanes; assigns missing queue numbers.

        :param fresh: start the retry schedule again
        """
        self._refuse_emptied()
        build_again(self)
        self._check_sizes()
        now = utcnow()
        vals = {
            "state": "queued",
            "queued_at": now,
            "next_attempt_at": now,
            "processed_at": False,
            "interruption_count": 0,
            "build_tries": 0,
            "processing_error": False,
            "failure_reason": False,
        }
        if fresh:
            vals["retry_number"] = 0
        self.write(vals)
        self._take_place()
        self._wake_lanes()

    def _wake_lanes(self):
        if self.endpoint_id[:1]._runs_without_jobs():
            self.process_delivery()
            return
        for endpoint in self.endpoint_id:
            jobs.wake(endpoint)

    def _check_sizes(self):
        """Refuse deliveries that are too large to be sent.

        :raise ValidationError: names the first one
        """
        self.flush_recordset(["payload_json", "request_headers_json"])
        self.env["ir.attachment"].flush_model(["file_size", "description"])
        sizes = dict(self.env.execute_query(sql.queued_bytes(self.ids)))
        files = dict(self.env.execute_query(sql.file_bytes(self.ids)))
        for delivery in self:
            try:
                check_size(sizes.get(delivery.id, 0) + files.get(delivery.id, 0))
            except ConfigurationError as error:
                raise refused(delivery, error) from error

    def _take_place(self):
        """Assign ordering groups by the current order, and missing queue numbers."""
        placeless = self.filtered(lambda each: not each.queue_number).sorted("id")
        numbers = self._draw_queue_numbers(len(placeless)) if placeless else ()
        for delivery, number in zip(placeless, numbers, strict=True):
            delivery.queue_number = number
        for delivery in self:
            key = delivery.ordering_key
            ordering = delivery.endpoint_id.ordering
            is_record = delivery.endpoint_id.create_or_update and delivery.res_id
            if is_record or not key and (delivery.supersede or ordering == "key"):
                key = record_key(delivery.res_model, delivery.res_id)
                delivery.ordering_key = key
            delivery.ordering_group = ordering_group(ordering, key)

    @api.private
    def process_delivery(self):
        """Build, decide, send and record now, in the caller's transaction.

        Runs the lane's steps without a commit: for tests, scripts and connector
        addons. Deliveries that ended are skipped.

        :raise ValidationError: the endpoint doesn't send at present, the delivery is
            being sent, or isn't first in its group
        """
        for delivery in self.sudo().sorted(lambda each: (each.queue_number, each.id)):
            if delivery.state in ("done", "dead_letter", "canceled"):
                continue
            if delivery.endpoint_id.is_paused:
                raise refused(
                    delivery.endpoint_id,
                    self.env._("it is paused and sends nothing. Resume it first."),
                )
            delivery.endpoint_id._check_queueable()
            DirectRun(delivery).run()
