# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from psycopg2 import InterfaceError, OperationalError
from psycopg2.pool import PoolError

from odoo import SUPERUSER_ID, Command, api, models, tools
from odoo.tools.misc import clean_context

from odoo.addons.queue_job.exception import RetryableJobError
from odoo.addons.queue_job.utils import must_run_without_delay

from ..exceptions import WebhookValidationError
from ..lane import jobs, recovery, sql
from ..lane.clock import utcnow
from ..lane.lane import Lane, run_directly
from ..lane.pacing import pages
from .const import CONTEXT_LINE
from .endpoint_health import check_runner_if_late
from .errors import refused
from .queue_request import read_request


class BwtWebhookOutboundEndpointQueue(models.AbstractModel):
    """Queues deliveries, and the job that sends them."""

    _name = "bwt.webhook.outbound.endpoint.queue"
    _description = "Outbound Webhook Endpoint: Queue"

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
        deliveries = endpoint.env["bwt.webhook.outbound.delivery"]._take_in(
            endpoint, list(requests)
        )
        return deliveries.with_env(self.env)

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

    # The engine

    def _without_context(self):
        """As superuser, without the caller's context."""
        return self.with_user(SUPERUSER_ID).with_context({})  # pylint: disable=W8121

    def _for_lane(self):
        """This endpoint for a lane: superuser, its company, no other context."""
        self.ensure_one()
        endpoint = self._without_context()
        return endpoint.with_context(
            allowed_company_ids=endpoint.company_id.ids,
            lang=endpoint._company_lang(),
            tz="UTC",
            tracking_disable=True,
        )

    @api.private
    def run_lane(self):
        """Job: send this endpoint's due deliveries until none is left or time is up.

        :return: a line on what the lane did, stored as the job's result
        """
        endpoint = self._without_context()
        job_uuid = self.env.context.get("job_uuid")
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
            raise RetryableJobError(
                f"Database connection lost: {error}", seconds=5, ignore_retry=True
            ) from error

    def _wake_if_due(self):
        """Request a lane for each endpoint that has work due, now or later."""
        for endpoint in self:
            jobs.wake_for_due(endpoint)

    def _wake_next_in_group(self):
        """Wake endpoints with an order: deliveries behind a removed one can be sent."""
        self.filtered(lambda each: each.ordering != "none")._wake_if_due()

    @api.model
    def _cron_wake_endpoints(self):
        """Wake active endpoints that have due work, but no lane or wake-up."""
        stuck_endpoints = recovery.find_stuck_endpoints(self.env.cr, utcnow())
        for endpoint in self.browse(stuck_endpoints):
            jobs.wake(endpoint)
        check_runner_if_late(self.env)

    def _runs_without_jobs(self):
        """True if queue_job is set to run jobs immediately (tests, scripts)."""
        return must_run_without_delay(self.env)


# Deliveries queued by code get no chatter: a message per delivery would cost more than
# the delivery.
SILENT = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
}
# The columns of a place in the queue: a draft has none.
DRAFT = {
    "state": "draft",
    "queued_at": False,
    "next_attempt_at": False,
    "ordering_group": False,
}
# Addons whose overrides of creating a delivery are known and covered by the insert.
KNOWN_MODULES = frozenset({None, "base", "mail", "bwt_webhooks_outbound"})
PAGE = 10_000  # rows per statement


class BwtWebhookOutboundDeliveryIntake(models.AbstractModel):
    """Creates the deliveries that code queues, many at once."""

    _name = "bwt.webhook.outbound.delivery.intake"
    _description = "Outbound Webhook Delivery: Queueing"

    @api.model
    def _take_in(self, endpoint, requests, vals=None):
        """Create queued deliveries and request the lane that sends them.

        :param endpoint: an active one, with sudo
        :param requests: list of dicts with the arguments of `queue_delivery`
        :param vals: further values of all of them
        """
        now = utcnow()
        # Everything invalid is refused here: nothing incomplete is left in the
        # transaction of a caller that continues after an error.
        requested = self._read_requests(endpoint, requests, now, vals)
        intake = self._quiet()
        if intake._has_foreign_hooks():
            deliveries, transaction = intake._create_requested(requested), None
        else:
            deliveries, transaction = intake._insert_requested(endpoint, requested)
        for delivery, each in zip(deliveries, requested, strict=True):
            if each.files:
                delivery._attach_files(each.files)
        if endpoint._runs_without_jobs():
            deliveries.process_delivery()
        else:
            dates = {each.vals["next_attempt_at"] for each in requested}
            _wake(endpoint, dates, now, transaction)
        return deliveries

    @api.model
    def _draft_requested(self, endpoint, request):
        """A draft of a request; queueing it assigns its number and date."""
        return self._draft_all(endpoint, [request])

    @api.model
    def _draft_all(self, endpoint, requests, vals=None):
        """Drafts of requests, in place of queued deliveries (`_take_in`)."""
        requested = self._read_requests(endpoint, requests, utcnow(), vals)
        drafts = self._quiet().create(
            [
                each.vals
                | DRAFT
                | {"context_line_ids": [Command.create(line) for line in each.lines]}
                for each in requested
            ]
        )
        for draft, each in zip(drafts, requested, strict=True):
            if each.files:
                draft._attach_files(each.files)
        return drafts

    def _read_requests(self, endpoint, requests, now, vals=None):
        label = label_of(endpoint, now)
        requested = [read_request(endpoint, each, label, now) for each in requests]
        if vals:
            for each in requested:
                each.vals.update(vals)
        return requested

    def _quiet(self):
        """With sudo, without chatter, without the caller's defaults."""
        # A dict replaces the context: `default_...` keys are for the caller's records.
        context = clean_context(self.env.context) | SILENT
        return self.sudo().with_context(context)  # pylint: disable=W8121

    def _create_requested(self, requested):
        """Create by `create`, which runs the overrides of other addons."""
        numbers = self._draw_queue_numbers(len(requested))
        return self.create(
            [
                each.vals
                | {
                    "queue_number": number,
                    "context_line_ids": [Command.create(line) for line in each.lines],
                }
                for number, each in zip(numbers, requested, strict=True)
            ]
        )

    def _insert_requested(self, endpoint, requested):
        """Create by one INSERT and one for the lines: the same rows as `create`.

        :return: the deliveries and the number of the transaction
        """
        cr = self.env.cr
        shared = {
            "endpoint": endpoint.id,
            "company": endpoint.company_id.id,
            "uid": self.env.uid,
        }
        template = cr.mogrify(sql.QUEUE_DELIVERIES_TEMPLATE, shared).decode()
        found = []
        for page in pages(requested, _payload_size, count=PAGE):
            found += cr.execute_values(
                sql.QUEUE_DELIVERIES_VALUES,
                [_row(each.vals, sql.QUEUED_COLUMNS) for each in page],
                template=template,
                page_size=PAGE,
                fetch=True,
            )
        ids = [row[0] for row in found]
        self._insert_lines(endpoint, ids, requested)
        endpoint.invalidate_recordset(["outbound_delivery_ids"])
        return self.browse(ids), found[0][1] if found else None

    def _insert_lines(self, endpoint, ids, requested):
        """The context lines of deliveries, by one INSERT."""
        lines = [
            (delivery_id, *_line_row(line))
            for delivery_id, each in zip(ids, requested, strict=True)
            for line in each.lines
        ]
        if not lines:
            return
        cr = self.env.cr
        shared = {"company": endpoint.company_id.id, "uid": self.env.uid}
        template = cr.mogrify(sql.QUEUE_LINES_TEMPLATE, shared).decode()
        for page in pages(lines, _line_size, count=PAGE):
            cr.execute_values(
                sql.QUEUE_LINES_VALUES, page, template=template, page_size=PAGE
            )

    def _has_foreign_hooks(self):
        """Whether an unknown addon extends the creation of deliveries.

        By an override of `create` (automation rules patch the model's class), a
        constraint, or a stored field with a default or a computation.
        """
        for model in (self, self.env[CONTEXT_LINE]):
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
        for model in (self, self.env[CONTEXT_LINE]):
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

    def _attach_files(self, files):
        """Store files as attachments; the form field is their description."""
        self.env["ir.attachment"]._bwt_webhook_store(files, self._name, self.id)


def label_of(endpoint, now):
    return f"{endpoint.display_name} / {now:%Y-%m-%d %H:%M:%S}"


def _is_foreign(field):
    return field.store and (field.manual or field._module not in KNOWN_MODULES)


def _wake(endpoint, dates, now, transaction):
    """One wake-up for what is due, one for the earliest later date."""
    if any(due <= now for due in dates):
        jobs.wake(endpoint, transaction=transaction)
    later = [due for due in dates if due > now]
    if later:
        jobs.wake(endpoint, eta=min(later), transaction=transaction)


def _payload_size(requested):
    return len(requested.vals.get("payload_json") or "")


def _line_size(line):
    return len(line[-1] or "")


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
