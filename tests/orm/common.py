# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bases of the tests of queueing, sending and recording."""

from contextlib import contextmanager
from datetime import timedelta

from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from odoo import SUPERUSER_ID, api
from odoo.exceptions import ValidationError
from odoo.modules.registry import Registry
from odoo.tests.common import BaseCase, TransactionCase, get_db_name, tagged

from odoo.addons.bwt_webhooks_outbound.lane import jobs
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.jobs import Duty
from odoo.addons.bwt_webhooks_outbound.lane.lane import Lane

from ..constants import ALLOWED_NETWORKS, DELIVERY, ENDPOINT
from ..receiver import Receiver

STATES = ("draft", "queued", "processing", "done", "error", "dead_letter", "canceled")


def allow_loopback(env):
    env["ir.config_parameter"].sudo().set_param(ALLOWED_NETWORKS, "127.0.0.0/8")


def wake_ups(endpoint, kind="lane", state="pending"):
    """Jobs of ours for this endpoint; kind: lane (wake-up), watch or more."""
    return (
        endpoint.env["queue.job"]
        .sudo()
        .search(
            [
                (
                    "identity_key",
                    "=like",
                    f"bwt_webhook_outbound:{kind}:{endpoint.id}:%",
                ),
                ("state", "=", state),
            ],
            order="id",
        )
    )


def duty_on(endpoint):
    """What a lane of this endpoint knows of it before it reads the record."""
    return Duty(endpoint.id, endpoint.company_id.id, endpoint.code, 1)


@tagged("post_install", "-at_install")
class OutboundCase(TransactionCase):
    """An active endpoint whose target is a receiver of this process."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context=dict(cls.env.context, tracking_disable=True))
        allow_loopback(cls.env)
        cls.receiver = cls.enterClassContext(Receiver())
        cls.endpoint = cls.make_endpoint("orders")

    def setUp(self):
        super().setUp()
        self.receiver.clear()

    @classmethod
    def make_endpoint(cls, code, **vals):
        return cls.env[ENDPOINT].create(
            {
                "name": code.title(),
                "code": code,
                "target_hostname": cls.receiver.url,
                "target_path": f"/{code}",
                **vals,
            }
        )

    def queue(self, payload=None, context_lines=None, **options):
        """A queued delivery of the endpoint."""
        return self.endpoint.queue_delivery(payload, context_lines, **options)

    def queue_keys(self, *keys, **options):
        """One queued delivery per key, in this order."""
        return self.endpoint.queue_deliveries(
            [{"payload": {"key": key}, "ordering_key": key} | options for key in keys]
        )

    def in_state(self, state, **vals):
        """A delivery that is in this state; how it came there doesn't matter."""
        delivery = self.queue({"a": 1})
        delivery.write({"state": state, "next_attempt_at": False} | vals)
        delivery.flush_recordset()
        return delivery

    def wake_ups(self, endpoint=None):
        return wake_ups(endpoint or self.endpoint)

    def row(self, record):
        """All columns of the record's row as they are in the database."""
        record.flush_recordset()
        self.env.cr.execute(
            f"SELECT * FROM {record._table} WHERE id = %s", (record.id,)
        )
        return self.env.cr.dictfetchone()

    @contextmanager
    def refused(self, pattern, error=ValidationError):
        """The block raises with a text that matches."""
        with self.assertRaises(error) as caught:
            yield
        self.assertRegex(str(caught.exception), pattern)


@tagged("post_install", "-at_install", "any_database")
class CommittedCase(BaseCase):
    """Works on what is committed, with real cursors; takes its records away again.

    For what one transaction can't show: locks, lanes, wake-ups. Other addons don't
    matter to these.
    """

    def setUp(self):
        super().setUp()
        self.registry = Registry(get_db_name())
        self.receiver = self.enterContext(Receiver())
        with self.transaction() as env:
            self.allowed_before = env["ir.config_parameter"].get_param(ALLOWED_NETWORKS)
            allow_loopback(env)
            self.endpoint_id = (
                env[ENDPOINT]
                .create(
                    {
                        "name": "Committed",
                        "code": "committed",
                        "target_hostname": self.receiver.url,
                        "target_path": "/in",
                    }
                )
                .id
            )
        self.addCleanup(self._take_away)

    def _take_away(self):
        with self.transaction() as env:
            env["ir.config_parameter"].set_param(ALLOWED_NETWORKS, self.allowed_before)
            env.cr.execute(
                "DELETE FROM queue_job WHERE identity_key LIKE %s",
                (f"bwt_webhook_outbound:%:{self.endpoint_id}:%",),
            )
            env.cr.execute(
                "DELETE FROM bwt_webhook_outbound_delivery WHERE endpoint_id = %s",
                (self.endpoint_id,),
            )
            env[ENDPOINT].browse(self.endpoint_id).unlink()

    @contextmanager
    def transaction(self, **context):
        """An environment of its own, committed at the end."""
        with self.registry.cursor() as cr:
            yield api.Environment(
                cr, SUPERUSER_ID, {"tracking_disable": True, **context}
            )

    @contextmanager
    def read_committed(self):
        """An environment whose cursor sees what others commit, as a lane's does."""
        cr = self.registry.cursor()
        try:
            cr.connection.set_isolation_level(ISOLATION_LEVEL_READ_COMMITTED)
            yield api.Environment(cr, SUPERUSER_ID, {})
        finally:
            cr.rollback()
            cr.close()

    def endpoint(self, env):
        return env[ENDPOINT].browse(self.endpoint_id)

    def set_up(self, **vals):
        """Change the endpoint."""
        with self.transaction() as env:
            self.endpoint(env).write(vals)

    def queue(self, *payloads, **options):
        """Ids of deliveries queued in one transaction."""
        with self.transaction() as env:
            return (
                self.endpoint(env)
                .queue_deliveries([{"payload": each} | options for each in payloads])
                .ids
            )

    def committed(self, ids, *names):
        """Values of deliveries as they are committed: a list of tuples."""
        with self.transaction() as env:
            deliveries = env[DELIVERY].browse(ids)
            return [tuple(each[name] for name in names) for each in deliveries]

    def states(self, ids):
        return [state for (state,) in self.committed(ids, "state")]

    def make_due(self, ids):
        """As if the delay until the next attempt had passed."""
        with self.transaction() as env:
            env[DELIVERY].browse(ids).next_attempt_at = utcnow() - timedelta(seconds=1)

    def pending(self, kind="lane"):
        """(state, eta) of this endpoint's pending jobs."""
        with self.transaction() as env:
            jobs = wake_ups(self.endpoint(env), kind)
            return [job.eta or None for job in jobs]

    def run_lane(self):
        """Run a lane as queue_job's runner would: returns its report."""
        with self.started_job() as uuid, self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {"job_uuid": uuid})
            return Lane(self.endpoint(env), uuid).run()

    @contextmanager
    def started_job(self):
        """A `run_lane` job in state started; done afterwards."""
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            uuid = jobs.start_watchdog(endpoint, duty_on(endpoint), f"test{id(self)}")
            self._set_job(env, uuid, "started")
        try:
            yield uuid
        finally:
            with self.transaction() as env:
                self._set_job(env, uuid, "done")

    def _set_job(self, env, uuid, state):
        env.flush_all()
        env.cr.execute(
            "UPDATE queue_job SET state = %s, identity_key = identity_key || state "
            "WHERE uuid = %s",
            (state, uuid),
        )
