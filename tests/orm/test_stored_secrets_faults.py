# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stored secrets when something else is wrong: odoo.conf, another secret, a lock."""

import os

from odoo.exceptions import UserError

from .test_stored_secrets import AUTH, StoredCase, key


class TestStoredSecretsFaults(StoredCase):
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
