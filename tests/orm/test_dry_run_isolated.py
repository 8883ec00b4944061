# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A dry run sends and changes nothing, whatever handlers do."""

import socket
import sys
import threading

from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.lane.isolation import Isolated, is_isolated

from ..constants import DELIVERY, HANDLER, LOGGER
from .request_case import need_test_addon
from .test_dry_run import DryRunCase

_seen = []
_watched = threading.local()


def _watch_sockets(event, arguments):
    """An audit hook sees each socket of the process, in whatever way it is opened."""
    if not event.startswith("socket.") or event == "socket.gethostname":
        return  # the name of this machine is known without a socket
    if getattr(_watched, "is_on", False):
        _seen.append((event, str(arguments)))


class TestIsolated(DryRunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_test_addon(cls.env, "shop.hazard")
        sys.addaudithook(_watch_sockets)  # stays: Python can't remove it
        cls.handler = cls.env[HANDLER].create(
            {
                "name": "Hazards",
                "code": "hazards",
                "execution_mode": "python",
                "python_model_name": "shop.hazard",
                "python_method_name": "decide",
            }
        )
        cls.hazards = sys.modules["odoo.addons.bwt_test_connector.hazards"]

    def try_it(self, name, argument=None):
        """The result of a delivery whose handler does this in a dry run."""
        self.endpoint.handler_id = False
        delivery = self.done({"do": [name, argument]})
        self.endpoint.handler_id = self.handler
        del _seen[:], self.hazards.NOTED[:]
        _watched.is_on = True
        try:
            with mute_logger(f"{LOGGER}.lane.batch", "odoo.sql_db"):
                dry_run = self.compare()
        finally:
            _watched.is_on = False
        self.assertEqual([], _seen)
        self.assertEqual([], self.hazards.NOTED)
        self.assertFalse(is_isolated())
        return self.result(delivery, dry_run)

    def test_writes(self):
        """What a handler writes is gone, its callbacks after the commit never run."""
        result = self.try_it("write", self.contact.id)

        self.assertEqual("unchanged", result.verdict, result.message)
        self.assertEqual("Ada", self.contact.name)
        created = [("name", "=", "created by a handler")]
        self.assertFalse(self.env["res.partner"].search(created))

    def test_commits(self):
        """The cursor refuses to commit; nothing is written."""
        for name in ("commit", "commit_by_sql"):
            with self.subTest(name):
                result = self.try_it(name, self.contact.id)
                self.assertEqual("error", result.verdict)
                self.assertIn("is not allowed in handlers", result.message)
                self.assertEqual("Ada", self.contact.name)

    def test_refused(self):
        """What a rollback can't undo is refused, with what to do about it."""
        port = int(self.receiver.url.rpartition(":")[2])
        kept = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(kept.close)
        self.hazards.KEPT[port] = kept
        for name, argument in (
            ("connect", port),
            ("socket", port),
            ("send", port),
            ("smtp", port),
            ("resolve", None),
            ("cursor", self.contact.id),
            ("process", None),
            ("thread", None),
        ):
            with self.subTest(name):
                result = self.try_it(name, argument)
                self.assertEqual("error", result.verdict, result.message)
                self.assertIn("not allowed in a dry run", result.message)
                self.assertIn("webhook_dry_run", result.message)
        self.assertEqual("Ada", self.contact.name)

    def test_raises(self):
        """What ends a thread or a process elsewhere is the error of one delivery."""
        for name in ("SystemExit", "KeyboardInterrupt", "MemoryError"):
            with self.subTest(name):
                result = self.try_it("raise", name)
                self.assertEqual("error", result.verdict)
                self.assertIn(name, result.message)

    def test_others_are_compared(self):
        """A bad delivery never affects the others of its page."""
        good = [self.done({"n": n}) for n in range(5)]
        self.try_it("commit", self.contact.id)
        others = [self.done({"n": n}) for n in range(5)]

        with mute_logger(f"{LOGGER}.lane.batch", "odoo.sql_db"):
            dry_run = self.compare()

        self.assertEqual((10, 1), (dry_run.unchanged_count, dry_run.error_count))
        verdicts = self.verdicts(dry_run)
        self.assertEqual({"unchanged"}, {verdicts[each] for each in good + others})

    def test_told(self):
        """Handlers see in the context that it is a dry run."""
        result = self.try_it("tell")

        self.assertIn(("body", "dry", None, "true"), self.differences(result))

    def test_no_access_token(self):
        """OAuth2 tokens are neither needed nor requested."""
        delivery = self.done({"n": 1})
        self.endpoint.write(
            {
                "auth_mode": "oauth2",
                "oauth_token_url": f"{self.receiver.url}/token",
                "oauth_client_id": "me",
                "auth_secret_input": "client-secret",
            }
        )

        dry_run = self.compare()  # the receiver got nothing

        self.assertEqual("unchanged", self.result(delivery, dry_run).verdict)

    def test_nothing_else_changes(self):
        """Delivery, endpoint and jobs are as they were; nothing is queued."""
        delivery = self.done({"n": 1})
        before = self.row(delivery), self.row(self.endpoint)
        count = self.env["queue.job"].search_count([])

        self.compare()

        self.assertEqual(before, (self.row(delivery), self.row(self.endpoint)))
        self.assertEqual(count + 1, self.env["queue.job"].search_count([]))
        self.assertFalse(self.env[DELIVERY].search([("state", "=", "queued")]))


@tagged("post_install", "-at_install")
class TestOtherThreads(DryRunCase):
    def test_other_threads_are_not_isolated(self):
        """Only the thread of the dry run is refused, and only while it is one."""
        port = int(self.receiver.url.rpartition(":")[2])
        outcome = []

        def connect():
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(b"\r\n")
            outcome.append("connected")

        started, proceed = threading.Event(), threading.Event()

        def wait_and_connect():
            started.set()
            proceed.wait(10)
            connect()

        thread = threading.Thread(target=wait_and_connect)
        thread.start()
        started.wait(10)
        before = vars(socket.socket).get("connect"), socket.getaddrinfo
        with self.enter_registry_test_mode():
            with Isolated(self.env.registry) as isolated, isolated.block():
                self.assertTrue(is_isolated())
                with self.assertRaisesRegex(Exception, "not allowed in a dry run"):
                    connect()
                proceed.set()
                thread.join(10)
        self.assertEqual(["connected"], outcome)
        self.assertEqual(
            before, (vars(socket.socket).get("connect"), socket.getaddrinfo)
        )
        connect()
