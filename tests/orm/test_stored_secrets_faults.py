# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stored secrets when something else is wrong: odoo.conf, another secret, a lock."""

import os
from datetime import timedelta

from odoo.exceptions import UserError

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import ENDPOINT, TOKEN
from .test_stored_secrets import AUTH, PLANTED, StoredCase, key


class TestStoredSecretsFaults(StoredCase):
    def test_an_unreadable_secret_leaves_no_other_in_clear_text(self):
        """The rotation encrypts what it can, also of an endpoint that it names."""
        self.configure(secret_keys=f"gone:{key(9)}")
        self.enter()
        self.configure()
        # The other one has the lost key.
        self.set_up(state="draft", auth_secret_input=AUTH)

        self.configure(secret_keys=f"k1:{key(1)}")
        with self.transaction() as env:
            count, unreadable = env[ENDPOINT]._reencrypt_secrets()

        self.assertEqual((1, [self.endpoint_id]), (count, unreadable))
        self.assertNotIn(PLANTED, self.dump())

    def test_an_access_token_without_its_key_is_nothing_to_enter(self):
        """It is requested again, so the rotation doesn't name its endpoint."""
        self.configure(secret_keys=f"gone:{key(9)}")
        with self.transaction() as env:
            env[TOKEN]._keep(self.endpoint_id, value="pl4nted-token")
        self.configure(secret_keys=f"k1:{key(1)}")

        with self.transaction() as env:
            _count, unreadable = env[ENDPOINT]._reencrypt_secrets()

        self.assertEqual([], unreadable)

    def test_a_rotation_waits_for_no_lock_of_its_own(self):
        """In a shell, after a write that isn't committed, it would wait for ever."""
        self.enter()
        self.configure(secret_keys=f"k1:{key(1)}")
        with self.transaction() as env:
            self.endpoint(env).name = "Not committed"
            # The test must end, whatever happens: a limit by PostgreSQL.
            env.cr.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
            with self.assertRaisesRegex(UserError, "commit your changes first"):
                env[ENDPOINT]._reencrypt_secrets()
            env.cr.rollback()

    def test_an_old_secret_that_no_longer_signs_stops_nothing(self):
        """A reference may be taken away when its time is over; it is deleted later."""
        os.environ["HOOK_TOKEN"] = f"whsec_{key(5)}"
        self.configure(secret_env="HOOK_TOKEN")
        self.set_up(signing_mode="standard", signing_secret_input="env:HOOK_TOKEN")
        with self.transaction() as env:
            self.endpoint(env)._generate_secret(24)
            self.assertTrue(self.endpoint(env)._trust().signature.old_secret)
            self.endpoint(env).secret_expires_at = utcnow() - timedelta(hours=1)
        os.environ.pop("HOOK_TOKEN")

        with self.transaction() as env:
            self.assertIsNone(self.endpoint(env)._trust().fault)
            self.assertFalse(self.endpoint(env).secret_problem)

    def test_a_secret_that_is_not_used_stops_nothing(self):
        """Without authentication, a stored secret isn't read."""
        self.configure(secret_keys=f"k1:{key(1)}")
        self.set_up(auth_secret_input=AUTH)
        self.configure()

        with self.transaction() as env:
            self.assertIsNone(self.endpoint(env)._trust().fault)
            self.assertFalse(self.endpoint(env).secret_problem)

    def test_an_odoo_conf_that_can_not_be_read_allows_no_clear_text(self):
        """Half written or without the right to read it, it isn't one without keys."""
        self.configure(secret_keys=f"k1:{key(1)}")
        self.enter()
        file = self.folder / "odoo.conf"
        for text in ("secret_keys", "[a]\nx=1\n[a]\n", "[bwt_webhooks_outbound]\nx\n"):
            with self.subTest(text):
                file.write_text(text)
                self._assert_nothing_is_stored_or_sent()
        self.configure(secret_keys=f"k1:{key(1)}")
        file.chmod(0)
        user = os.geteuid()
        if user == 0:
            self.folder.chmod(0o755)
            os.seteuid(65534)
        try:
            self._assert_nothing_is_stored_or_sent()
        finally:
            os.seteuid(user)
        file.chmod(0o600)
        self.assertEqual(f"Bearer {AUTH}", self.sent())

    def _assert_nothing_is_stored_or_sent(self):
        expected, before = "odoo.conf can't be read", self.stored()
        # A draft isn't checked: there, it would be stored in clear text.
        for values in ({"state": "draft"}, {}):
            with self.assertRaisesRegex(UserError, expected):
                self.set_up(auth_secret_input="another one", **values)
        self.assertEqual(before, self.stored())
        with self.transaction() as env:
            fault = self.endpoint(env)._trust().fault
        self.assertIn(expected, str(fault))
