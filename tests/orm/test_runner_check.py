# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The check of the job runner names what keeps jobs from starting."""

import os
import socket
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools import config

from odoo.addons.bwt_webhooks_outbound.lane import diagnostics
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.queue_job.jobrunner.runner import PG_ADVISORY_LOCK_ID

from ..constants import ENDPOINT, GROUP_OPERATOR, LOGGER
from ..receiver import close, hold, status
from .common import OutboundCase

PATH = diagnostics.PATH


@tagged("post_install", "-at_install")
class TestRunnerCheck(OutboundCase):
    def setUp(self):
        super().setUp()
        port = self.receiver.url.rpartition(":")[2]
        self.calls("127.0.0.1", port)
        self.enterContext(self.runner())

    def calls(self, host, port, **more):
        """The address that the runner is configured for."""
        values = {"HOST": host, "PORT": port, **more}
        self.enterContext(
            patch.dict(
                os.environ,
                {f"ODOO_QUEUE_JOB_{name}": text for name, text in values.items()},
            )
        )

    @contextmanager
    def runner(self):
        """What the runner holds while it works."""
        with self.registry.cursor() as cr:
            cr.execute("SELECT pg_advisory_lock(%s)", (PG_ADVISORY_LOCK_ID,))
            try:
                yield
            finally:
                cr.execute("SELECT pg_advisory_unlock_all()")

    def checked(self):
        """The message that the button shows."""
        return self.env[ENDPOINT].action_check_runner()["params"]["message"]

    def make_late(self):
        """A delivery that waits for two minutes, and its job as well."""
        delivery = self.queue({"a": 1})
        delivery.next_attempt_at = utcnow() - timedelta(minutes=2)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE queue_job SET state = 'done' WHERE state = 'started'"
        )
        self.env.cr.execute(
            "UPDATE queue_job SET date_created = %s WHERE id = ANY(%s)",
            (utcnow() - timedelta(minutes=2), self.wake_ups().ids),
        )
        self.env.invalidate_all()

    def test_it_queries_as_the_runner_does(self):
        """Address, database and login are the runner's: its faults are found."""
        self.calls("127.0.0.1", os.environ["ODOO_QUEUE_JOB_PORT"], HTTP_AUTH_USER="u")
        port = os.environ["ODOO_QUEUE_JOB_PORT"]
        self.calls("127.0.0.1", port, HTTP_AUTH_USER="u", HTTP_AUTH_PASSWORD="p")

        self.checked()

        [request] = self.receiver.requests
        self.assertEqual("GET", request.method)
        self.assertEqual(PATH, request.path.partition("?")[0])
        self.assertEqual(self.env.cr.dbname, request.header("X-Odoo-Database"))
        self.assertEqual("Basic dTpw", request.header("Authorization"))

    def test_nobody_listens(self):
        """A wrong port is named with the address and the error."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = str(probe.getsockname()[1])
        self.calls("127.0.0.1", port)

        self.assertRegex(
            self.checked(),
            rf"can't reach Odoo at http://127.0.0.1:{port}: Connection refused\. ",
        )

    def test_a_connection_that_is_closed(self):
        """Another service's port: that it closes is reported as an error."""
        self.receiver.script(PATH, close())

        self.assertRegex(self.checked(), "can't reach Odoo at http://127.0.0.1:")

    def test_another_server(self):
        """Any server may respond; only this database can prove itself."""
        self.receiver.script(PATH, status(200, b"OK"), status(503), status(401))

        messages = [self.checked() for _check in range(3)]

        self.assertRegex(messages[0], r"responds there \(HTTP 200\) is not this Odoo")
        self.assertRegex(messages[1], r"responds there \(HTTP 503\) is not this Odoo")
        self.assertRegex(
            messages[2], r"requires a login from the job runner \(HTTP 401\)"
        )

    def test_odoo_without_a_database(self):
        """The page that Odoo shows where dbfilter leaves no database."""
        page = b"<p>No database is selected and the requested URL was not found</p>"
        self.receiver.script(PATH, status(404, page))

        self.assertRegex(
            self.checked(),
            r"dbfilter keeps the request from database .*host = 127\.0\.0\.1",
        )

    def test_a_filter_of_this_server(self):
        """The redirect of another database's page doesn't hide the filter."""
        self.receiver.script(PATH, status(404, b"another page"))

        with patch.dict(config.options, {"dbfilter": "^%d$"}):
            message = self.checked()

        self.assertIn("dbfilter = ^%d$, host = 127.0.0.1", message)

    def test_no_free_worker(self):
        """The check ends by itself, however long the server holds the request."""
        self.receiver.script(PATH, hold())
        self.addCleanup(self.receiver.release)

        self.assertIn("no HTTP worker was free", self.checked())

    def test_a_channel_that_is_stuck(self):
        """A paused channel above ours is named, and no other one."""
        variable = "ODOO_QUEUE_JOB_CHANNELS"
        with patch.dict(os.environ, {variable: "root:4,webhooks:1:paused"}):
            stopped = self.checked()
        with patch.dict(os.environ, {variable: "root:4,web:1:paused"}):
            other = self.checked()

        self.assertIn("channel root.webhooks starts no jobs", stopped)
        self.assertNotIn("starts no jobs", other)

    def test_operators_press_it(self):
        """A user who is advised to check may check; one without deliveries may not."""
        operator = new_test_user(self.env, "check_operator", GROUP_OPERATOR)
        plain = new_test_user(self.env, "check_plain", "base.group_user")
        endpoints = self.env[ENDPOINT]

        action = endpoints.with_user(operator).action_check_runner()

        self.assertEqual("danger", action["params"]["type"])
        with self.assertRaises(AccessError):
            endpoints.with_user(plain).action_check_runner()

    def test_the_form_says_what_the_scheduled_action_found(self):
        """Else it blames capacity for a filter, an address, a login."""
        self.make_late()
        self.receiver.script(PATH, status(401), status(200, b"OK"))

        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.env[ENDPOINT]._cron_wake_endpoints()
        self.endpoint.invalidate_recordset()
        first = self.endpoint.queue_trouble
        with self.assertLogs(LOGGER, "WARNING"):
            self.env[ENDPOINT]._cron_wake_endpoints()
        self.endpoint.invalidate_recordset()

        self.assertRegex(
            first, r"has been waiting for 2 minutes\. The server at .*requires a login"
        )
        self.assertRegex(logged.output[0], "requires a login from the job runner")
        self.assertIn("is not this Odoo", self.endpoint.queue_trouble)

    def test_it_is_forgotten_when_jobs_start(self):
        """A finding of yesterday explains nothing today."""
        parameters = self.env["ir.config_parameter"].sudo()
        finding = diagnostics.Finding(diagnostics.NO_RUNNER, {})
        parameters.set_param(diagnostics.PARAMETER, diagnostics.dump(finding))

        self.env[ENDPOINT]._cron_wake_endpoints()

        self.assertFalse(parameters.get_param(diagnostics.PARAMETER))
        self.assertEqual(0, self.receiver.total)


@tagged("post_install", "-at_install")
class TestNoRunner(OutboundCase):
    def checked(self):
        return self.env[ENDPOINT].action_check_runner()["params"]["message"]

    def test_no_runner(self):
        """What the configuration of this server says, before any request."""
        with patch.dict(os.environ, {"ODOO_QUEUE_JOB_CHANNELS": "root:0"}):
            no_capacity = self.checked()
        with patch.dict(config.options, {"server_wide_modules": ["base", "web"]}):
            not_loaded = self.checked()
        loaded = {"server_wide_modules": ["base", "rpc", "web", "queue_job"]}
        with patch.dict(config.options, {**loaded, "db_name": ["other"]}):
            not_served = self.checked()
        with patch.dict(config.options, loaded):
            none = self.checked()

        self.assertRegex(no_capacity, "channel root starts no jobs: its capacity is 0")
        self.assertRegex(not_loaded, "modules base,web only.*base,rpc,web,queue_job")
        self.assertRegex(not_served, f"to other. Add {self.env.cr.dbname} there")
        self.assertRegex(none, "restart it after queue_job was installed")
