# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from psycopg2 import InterfaceError, OperationalError
from psycopg2.pool import PoolError

from odoo import SUPERUSER_ID, api, models

from odoo.addons.queue_job.exception import RetryableJobError
from odoo.addons.queue_job.utils import must_run_without_delay

from ..exceptions import WebhookValidationError
from ..lane import recovery, wake
from ..lane.clock import utcnow
from ..lane.lane import Lane, run_directly
from .refusal import refused


class EndpointQueue(models.AbstractModel):
    """How a delivery is asked for, and the job that moves what was asked for."""

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
        :param ordering_key: text; deliveries of one key go one after the other where
            the endpoint's order is per key
        :param supersede: cancel deliveries of the same key that were not tried yet
        :return: the delivery, readable with the webhooks groups
        :raise ValidationError: endpoint not active, payload no JSON
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
        :return: the deliveries, in the order given
        """
        if not self:
            raise WebhookValidationError(
                self.env._(
                    "Queueing needs one endpoint, and the search for it found none. "
                    "Look it up by its code, and check that an endpoint with this code "
                    "exists."
                )
            )
        if len(self) > 1:
            raise WebhookValidationError(
                self.env._(
                    "Queueing needs one endpoint, and the search for it found %s. Look "
                    "it up by its code, which only one has.",
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
                    "it is in state %(state)s and takes no deliveries. Activate it "
                    "first.",
                    state=state[self.state],
                ),
            )

    # The engine

    def _without_context(self):
        """Superuser, and nothing of the caller's context."""
        return self.with_user(SUPERUSER_ID).with_context({})  # pylint: disable=W8121

    def _register_hook(self):
        """A server starts: lane jobs that a killed one left running are free again.

        Until then queue_job's runner counts them as running, up to a minute.
        """
        super()._register_hook()
        if not self._abstract:
            recovery.requeue_dead_jobs_at_start(self.env.registry)

    def _for_lane(self):
        """This endpoint as a lane sees it: superuser, its company, nothing else."""
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
        """Job: move this endpoint's due deliveries until none is left or time is up.

        :return: one line on what the lane did, kept as the job's result
        """
        endpoint = self._without_context()
        job_uuid = self.env.context.get("job_uuid")
        try:
            # A cursor of the lane's own, which it commits step by step. Opened here and
            # not by queue_job (`allow_commit`): a job that a test performs in its own
            # transaction then sees, and sends, what that transaction queued.
            with self.env.registry.cursor() as cr:
                report = Lane(endpoint.with_env(endpoint.env(cr=cr)), job_uuid).run()
            return str(report or run_directly(endpoint))
        except (OperationalError, InterfaceError, PoolError) as error:
            # The database or a connection is gone, or none is free: nothing can be
            # written. This job becomes the wake-up; the next lane recovers the rest.
            raise RetryableJobError(
                f"Database connection lost: {error}", seconds=5, ignore_retry=True
            ) from error

    def _wake_if_due(self):
        """Ask for a lane of each endpoint that has work due, now or later."""
        for endpoint in self:
            wake.wake_for_due(endpoint)

    def _wake_next_in_line(self):
        """Wake those with an order: whoever stood behind what left its place may go."""
        self.filtered(lambda each: each.ordering != "none")._wake_if_due()

    @api.model
    def _cron_wake_endpoints(self):
        """Wake active endpoints that have work due and no lane or wake-up coming."""
        stranded = recovery.stranded_endpoints(self.env.cr, utcnow())
        for endpoint in self.browse(stranded):
            wake.wake(endpoint)
        self._check_runner_if_late()

    def _runs_without_jobs(self):
        """True where queue_job is told to call at once (tests, scripts)."""
        return must_run_without_delay(self.env)
