# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from psycopg2 import InterfaceError, OperationalError
from psycopg2.pool import PoolError

from odoo import SUPERUSER_ID, api, fields, models, tools
from odoo.tools.misc import clean_context

from ..exceptions import WebhookValidationError
from ..lane import jobs, recovery, sql
from ..lane.clock import utcnow
from ..lane.inline_run import run_directly
from ..lane.lane import Lane
from ..lane.pacing import pages
from . import endpoint_alerts, endpoint_health
from .const import (
    ACTION_STATE,
    CONTEXT_LINE,
    DELIVERY,
    DRY_RUN,
    FORGET,
    GROUP_OPERATOR,
    PACE,
    RECONCILIATION,
    RUN,
)
from .endpoint_policy import apply_settle
from .endpoint_snapshot import active_lang, active_rules, company_lang, snapshot_of
from .errors import refused
from .queue_request import read_requests

# Deliveries queued by code get no chatter: a message per delivery would cost more than
# the delivery.
SILENT = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
}
# A draft has no place in the queue.
DRAFT = {
    "state": "draft",
    "queued_at": False,
    "next_attempt_at": False,
    "ordering_group": False,
    "settle_started_at": False,
}
# Addons whose overrides of creating a delivery are known and covered by the insert.
KNOWN_MODULES = frozenset({None, "base", "mail", "bwt_webhooks_outbound"})
PAGE = 10_000  # rows per statement


class BwtWebhookOutboundEndpointQueue(models.AbstractModel):
    """Queues deliveries, and the job that sends them."""

    _name = "bwt.webhook.outbound.endpoint.queue"
    _description = "Outbound Webhook Endpoint: Queue"

    oldest_due_at = fields.Datetime(
        compute="_compute_oldest_due",
        groups=GROUP_OPERATOR,
        help="When the oldest due delivery became due. If this time stays in the "
        "past, nothing is being sent.",
    )
    queue_trouble = fields.Text(
        string="Sending Problem",
        compute="_compute_queue_trouble",
        groups=GROUP_OPERATOR,
        help="Why due deliveries aren't sent and what to do. Empty when there is no "
        "problem.",
    )
    skipped_count = fields.Integer(
        string="Skipped Deliveries",
        compute="_compute_skipped",
        groups=GROUP_OPERATOR,
        help="Deliveries that server actions did not queue while the endpoint was "
        "archived.",
    )
    last_skipped_at = fields.Datetime(compute="_compute_skipped", groups=GROUP_OPERATOR)

    @api.private
    def queue_delivery(
        self,
        payload=None,
        context_lines=None,
        *,
        headers=None,
        files=None,
        name=None,
        record=None,
        eta=None,
        ordering_key=None,
        supersede=False,
        settle=None,
        skip_if_unchanged=False,
    ):
        """Queue one delivery; it is sent after the caller's transaction commits.

        :param payload: any JSON value; dates become ISO 8601, bytes base64
        :param context_lines: mapping of key to value (a text stays text), or a list of
            dicts with `key_name`, `source_kind`, `source_expression`, `literal_value`
        :param headers: mapping of header name to text
        :param files: mapping of form field to a mapping with `filename`, `content`
            (bytes) and optional `content_type`
        :param record: the record that the delivery is about
        :param eta: naive UTC datetime before which it isn't sent
        :param ordering_key: text; deliveries of the same key are sent one after another
            if the endpoint's order is per key
        :param supersede: cancel deliveries of the same key that were not tried yet
        :param settle: with `supersede`: seconds without a change before it is sent, or
            a pair of them and the longest wait; None: as the endpoint says, 0: none
        :param skip_if_unchanged: cancel it if the receiver got the same request as the
            last one about `record`; False: as the endpoint says
        :return: the delivery, readable with the webhooks groups
        :raise ValidationError: endpoint not active, payload not valid JSON
        :raise AccessError: the caller may not read the endpoint
        """
        return self.queue_deliveries(
            [
                {
                    "payload": payload,
                    "context_lines": context_lines,
                    "headers": headers,
                    "files": files,
                    "name": name,
                    "record": record,
                    "eta": eta,
                    "ordering_key": ordering_key,
                    "supersede": supersede,
                    "settle": settle,
                    "skip_if_unchanged": skip_if_unchanged,
                }
            ]
        )

    @api.private
    def queue_deliveries(self, requests):
        """Queue many deliveries at once: one insert, one wake-up.

        :param requests: list of dicts with the arguments of :meth:`queue_delivery`
        :return: the deliveries, in the given order
        """
        if not self:
            raise WebhookValidationError(
                self.env._(
                    "Queueing needs one endpoint, but the search found none. "
                    "Search by code, and check that an endpoint with this code "
                    "exists."
                )
            )
        if len(self) > 1:
            raise WebhookValidationError(
                self.env._(
                    "Queueing needs one endpoint, but the search found %s. Search "
                    "by code, which is unique.",
                    len(self),
                )
            )
        self.check_access("read")
        endpoint = self.sudo()
        endpoint._check_queueable()
        return endpoint._queue_requests(list(requests)).with_env(self.env)

    def _check_queueable(self):
        if self.state != "active":
            state = dict(self._fields["state"]._description_selection(self.env))
            raise refused(
                self,
                self.env._(
                    "it is in state %(state)s and accepts no deliveries. Activate "
                    "it first.",
                    state=state[self.state],
                ),
            )

    # What waits, and what was not queued

    def _compute_oldest_due(self):
        dates = endpoint_health.oldest_due_dates(self)
        for endpoint in self:
            endpoint.oldest_due_at = dates.get(endpoint.id)

    @api.depends_context("lang")
    def _compute_queue_trouble(self):
        now = utcnow()
        for endpoint in self:
            endpoint.queue_trouble = endpoint_health.sending_problem(endpoint, now)

    def _compute_skipped(self):
        groups = self.env["bwt.webhook.outbound.endpoint.skip"]._read_group(
            [("endpoint_id", "in", self.ids)],
            ["endpoint_id"],
            ["skipped:sum", "last_at:max"],
        )
        found = {endpoint: (count, last) for endpoint, count, last in groups}
        for endpoint in self:
            count, last = found.get(endpoint, (0, False))
            endpoint.skipped_count = count
            endpoint.last_skipped_at = last

    # Creating deliveries

    def _queue_requests(self, requests, vals=None):
        """Create queued deliveries and request the lane that sends them.

        On an active endpoint, with sudo.

        :param requests: list of dicts with the arguments of `queue_delivery`
        :param vals: further values of all of them
        """
        now = utcnow()
        # Everything invalid is refused here: nothing incomplete is left in the
        # transaction of a caller that continues after an error.
        requested = read_requests(self, requests, now, vals)
        apply_settle(self, requested, now)
        if self._has_foreign_hooks():
            deliveries = self._create_deliveries(requested)
            transaction, in_burst = None, False
        else:
            deliveries, transaction, in_burst = self._insert_deliveries(requested)
        _attach_files(deliveries, requested)
        if self._runs_without_jobs():
            deliveries.process_delivery()
            return deliveries
        # One wake-up for what is due, one for the earliest later date.
        dates = {each.vals["next_attempt_at"] for each in requested}
        if any(due <= now for due in dates):
            jobs.wake(self, transaction=transaction, in_burst=in_burst)
        later = [due for due in dates if due > now]
        if later:
            jobs.wake(self, eta=min(later), transaction=transaction)
        return deliveries

    def _store_drafts(self, requests, vals=None):
        """Create drafts of requests; queueing one assigns its number and date."""
        requested = read_requests(self, requests, utcnow(), vals)
        drafts = self._silent_deliveries().create(
            [each.create_vals() | DRAFT for each in requested]
        )
        _attach_files(drafts, requested)
        return drafts

    def _silent_deliveries(self):
        """The delivery model with sudo, without chatter and the caller's defaults."""
        context = clean_context(self.env.context) | SILENT
        deliveries = self.env[DELIVERY].sudo()
        # Replaced, not extended: `default_...` keys are for the caller's records.
        return deliveries.with_context(context)  # pylint: disable=W8121  # as said

    def _create_deliveries(self, requested):
        """Create by `create`, which runs the overrides of other addons."""
        deliveries = self._silent_deliveries()
        numbers = deliveries._draw_queue_numbers(len(requested))
        return deliveries.create(
            [
                each.create_vals() | {"queue_number": number}
                for number, each in zip(numbers, requested, strict=True)
            ]
        )

    def _insert_deliveries(self, requested):
        """Create by one INSERT and one for the lines: the same rows as `create`.

        :return: the deliveries, the number of the transaction, and whether a lane is
            at work that waits for more
        """
        cr = self.env.cr
        shared = {
            "endpoint": self.id,
            "company": self.company_id.id,
            "uid": self.env.uid,
        }
        template = cr.mogrify(sql.QUEUE_DELIVERIES_TEMPLATE, shared).decode()
        found = []
        for page in pages(
            requested, lambda each: len(each.vals["payload_json"]), count=PAGE
        ):
            found += cr.execute_values(
                sql.QUEUE_DELIVERIES_VALUES,
                [_row(each.vals, sql.QUEUED_COLUMNS) for each in page],
                template=template,
                page_size=PAGE,
                fetch=True,
            )
        ids = [row[0] for row in found]
        self._insert_lines(ids, requested)
        self.invalidate_recordset(["outbound_delivery_ids"])
        _id, transaction, in_burst = found[-1] if found else (None, None, False)
        return self._silent_deliveries().browse(ids), transaction, in_burst

    def _insert_lines(self, ids, requested):
        """The context lines of deliveries, by one INSERT."""
        lines = [
            (delivery_id, *_line_row(line))
            for delivery_id, each in zip(ids, requested, strict=True)
            for line in each.lines
        ]
        if not lines:
            return
        cr = self.env.cr
        shared = {"company": self.company_id.id, "uid": self.env.uid}
        template = cr.mogrify(sql.QUEUE_LINES_TEMPLATE, shared).decode()
        for page in pages(lines, lambda line: len(line[-1] or ""), count=PAGE):
            cr.execute_values(
                sql.QUEUE_LINES_VALUES, page, template=template, page_size=PAGE
            )

    @api.model
    def _has_foreign_hooks(self):
        """Whether an unknown addon extends the creation of deliveries.

        By an override of `create` (automation rules patch the model's class), a
        constraint, or a stored field with a default or a computation.
        """
        for model in (self.env[DELIVERY], self.env[CONTEXT_LINE]):
            for cls in type(model).__mro__:
                if "create" in vars(cls) and (
                    "pool" in vars(cls)
                    or getattr(cls, "_module", None) not in KNOWN_MODULES
                ):
                    return True
        return self._has_foreign_fields()

    @api.model
    @tools.ormcache()
    def _has_foreign_fields(self):
        for model in (self.env[DELIVERY], self.env[CONTEXT_LINE]):
            for field in model._fields.values():
                if any(map(_is_foreign, self.pool.get_dependent_fields(field))):
                    return True
                if _is_foreign(field) and (field.default or field.required):
                    return True
            for method in model._constraint_methods:
                if not method.__module__.startswith(
                    ("odoo.addons.bwt_webhooks_outbound.", "odoo.addons.mail.")
                ):
                    return True
        return False

    # Sending

    def _without_context(self):
        """As superuser, without the caller's context."""
        endpoint = self.with_user(SUPERUSER_ID)
        return endpoint.with_context({})  # pylint: disable=W8121  # nothing is kept

    def _for_lane(self, company_id=None, lang=None):
        """This endpoint for a lane: superuser, its company, no other context.

        :param company_id: of the endpoint, if it was read already
        :param lang: of that company's partner; read only without `company_id`
        """
        self.ensure_one()
        endpoint = self._without_context()
        if company_id:
            lang = active_lang(self.env, lang)
        else:
            company_id, lang = endpoint.company_id.id, company_lang(endpoint)
        return endpoint.with_context(
            allowed_company_ids=[company_id],
            lang=lang,
            tz="UTC",
            tracking_disable=True,
        )

    def _outbound_snapshot(self, lang=None, *, is_committed=False):
        """This endpoint as an `EndpointSnapshot`, for the lane.

        :param lang: of its company, if that was read already
        :param is_committed: this transaction has changed no rule
        """
        return snapshot_of(self, lang, is_committed=is_committed)

    @tools.ormcache("self.id", "field_name", "config_version", "self.env.lang")
    def _lasting_rules(self, field_name, config_version):
        """The compiled rules of one kind that this version of the endpoint has.

        None if some of them hold records, so that they must be compiled for each
        transaction. The first request of a lane waits for the others.
        """
        rules = active_rules(self, field_name)
        return rules._compiled() if all(each._is_lasting() for each in rules) else None

    @api.private
    def run_lane(self):
        """Job: send this endpoint's due deliveries until none is left or time is up.

        :return: a line on what the lane did, stored as the job's result
        """
        endpoint = self._without_context()
        job_uuid = jobs.current_job(self.env)
        try:
            # A separate cursor, which the lane commits after each step. Opened here and
            # not by queue_job (`allow_commit`): a job that a test performs in its own
            # transaction then sees, and sends, what that transaction queued.
            with self.env.registry.cursor() as cr:
                report = Lane(endpoint.with_env(endpoint.env(cr=cr)), job_uuid).run()
            return str(report or run_directly(endpoint))
        except (OperationalError, InterfaceError, PoolError) as error:
            # The database is unreachable, or no connection is free: nothing can be
            # written. This job is repeated as wake-up; the next lane recovers the rest.
            raise jobs.repeat_later(
                f"Database connection lost: {error}", seconds=5
            ) from error

    @api.private
    def notify_not_queued(self):
        """Job: create today's activity on what server actions could not queue.

        :return: True if one was created
        """
        return endpoint_alerts.notify_not_queued(self)

    def _wake_if_due(self):
        """Request a lane for each endpoint that has work due, now or later."""
        for endpoint in self:
            jobs.wake_for_due(endpoint)

    def _wake_next_in_group(self):
        """Wake endpoints with an order: deliveries behind a removed one can be sent."""
        self.filtered(lambda each: each.ordering != "none")._wake_if_due()

    @api.model
    def _cron_wake_endpoints(self):
        """Wake active endpoints and runs that have work, but no job."""
        stuck_endpoints = recovery.find_stuck_endpoints(self.env.cr, utcnow())
        for endpoint in self.browse(stuck_endpoints):
            jobs.wake(endpoint)
        self.env[RUN]._wake_interrupted()
        self.env[RECONCILIATION]._wake_interrupted()
        self.env[FORGET]._wake_interrupted()
        self.env[DRY_RUN]._wake_interrupted()
        endpoint_health.check_runner_if_late(self.env)

    def _runs_without_jobs(self):
        """True if queue_job is set to run jobs immediately (tests, scripts)."""
        return jobs.runs_immediately(self.env)

    # Existing records

    @api.private
    def backfill(self, action, domain=None, *, pace=PACE):
        """Start a run that queues a delivery for each existing record.

        Records are searched with the rights of the current user, also with sudo, in
        their current companies.

        :param action: the server action of this endpoint that builds the payloads
        :param domain: which records of the action's model; None: all
        :param pace: records per minute, at most
        :return: the run, with sudo; done at once if no record matches
        :raise ValidationError: the endpoint isn't active, the action is for another
            endpoint, a run of it has not ended, or pace or domain are invalid
        """
        self.ensure_one()
        self.check_access("read")
        action = action.sudo()
        if action.bwt_webhook_endpoint_id != self.sudo():
            raise refused(
                self,
                self.env._(
                    "the server action %s doesn't queue deliveries on it. Give one "
                    "that does.",
                    action.display_name or "-",
                ),
            )
        run = (
            self.env[RUN]
            .sudo()
            .create(
                {
                    "name": action.name,
                    "action_id": action.id,
                    "domain": "[]" if domain is None else str(domain),
                    "pace": pace,
                }
            )
        )
        run._start(self.env.user, self.env.companies)
        return run

    def action_backfill(self):
        """Open a new run with a server action of this endpoint."""
        self.ensure_one()
        self.check_access("write")
        actions = self.env["ir.actions.server"].sudo()
        found = actions.search(
            [
                ("state", "=", ACTION_STATE),
                ("bwt_webhook_endpoint_id", "=", self.id),
            ]
        )
        if not found:
            raise refused(
                self,
                self.env._(
                    "no server action queues deliveries on it, and one says what is "
                    "sent of a record. Have a Settings administrator create one."
                ),
            )
        return self.env[RUN]._action_new(found[0], self)

    def action_compare(self):
        """Open a dry run: past deliveries built again with the settings of today."""
        self.ensure_one()
        return self.env[DRY_RUN]._action_new(self)

    def action_duplicate_for_trial(self):
        """Copy the endpoint and its handler, and open a dry run with their settings.

        The copy is a draft: it is edited and compared, and nothing is sent to it.
        """
        self.ensure_one()
        self.check_access("write")
        trial = self.copy(
            {
                "name": self.env._("%s (trial)", self.name),
                "reference_scope": self.sudo().reference_scope,
            }
        )
        if self.handler_id:
            name = self.env._("%s (trial)", self.handler_id.name)
            trial.handler_id = self.handler_id.copy({"name": name})
        return self.env[DRY_RUN]._action_new(self, settings=trial)


def _attach_files(deliveries, requested):
    """Store files as attachments; the form field is their description."""
    for delivery, each in zip(deliveries, requested, strict=True):
        if each.files:
            delivery.env["ir.attachment"]._bwt_webhook_store(
                each.files, DELIVERY, delivery.id
            )
    found = {
        delivery.id: each.record_files
        for delivery, each in zip(deliveries, requested, strict=True)
        if each.record_files
    }
    if found:
        deliveries.env["ir.attachment"]._bwt_webhook_store_record_files(found)


def _is_foreign(field):
    return field.store and (field.manual or field._module not in KNOWN_MODULES)


def _row(vals, columns):
    return [None if (value := vals.get(name)) is False else value for name in columns]


def _line_row(line):
    return (
        line["sequence"],
        line.get("active", True),
        line["key_name"],
        line["source_kind"],
        line.get("source_expression") or None,
        line.get("literal_value") or None,
    )
