# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A signing secret that is too short to be one is refused where it is entered."""

import base64

from odoo.tests import Form, tagged

from ..constants import ENDPOINT, SECRET
from .request_case import RequestCase

SHORT = "whsec_" + base64.b64encode(b"k" * 23).decode()
LONG = "whsec_" + base64.b64encode(b"k" * 24).decode()


@tagged("post_install", "-at_install")
class TestSigningSecret(RequestCase):
    def refusals(self, *, mode, secret):
        """Ways to enter a secret, each as a function without arguments."""
        values = {"signing_mode": mode, "signing_secret_input": secret}
        new = {
            "name": "New",
            "code": "new",
            "target_hostname": "https://new.example.com",
            "state": "draft",
        }

        def by_form():
            with Form(self.endpoint) as form:
                form.signing_mode = mode
                form.signing_secret_input = secret

        return {
            "create": lambda: self.env[ENDPOINT].create({**new, **values}),
            "write": lambda: self.endpoint.write(values),
            "form": by_form,
            "import": lambda: self.imported(mode, secret),
        }

    def imported(self, mode, secret):
        names = ["name", "code", "state", "signing_mode", "signing_secret_input"]
        found = self.env[ENDPOINT].load(names, [["New", "new", "draft", mode, secret]])
        if not found["ids"]:
            self.fail(f"not imported: {found['messages']}")

    def test_short_secrets(self):
        """Refused on create, write and form, in each mode, with what is needed.

        A truncated paste signed for weeks with a key that could be guessed.
        """
        for mode, secret, message in (
            ("standard", SHORT, "23 bytes.*at least 24"),
            ("standard", "whsec_%%", "whsec_"),
            ("hmac", "k" * 15, "15 characters.*at least 16"),
            ("none", SHORT, "23 bytes"),
            ("none", "short", "5 characters"),
        ):
            ways = self.refusals(mode=mode, secret=secret)
            ways.pop("import")
            if mode == "none":
                ways.pop("form")  # which shows no secret then
            for way, enter in ways.items():
                with self.subTest(mode, way=way, secret=secret):
                    with self.refused(message), self.env.cr.savepoint():
                        enter()
                    self.assertFalse(self.endpoint.sudo().signing_secret)

    def test_import_says_so_too(self):
        """A file's row is refused with the same message."""
        names = ["name", "code", "state", "signing_mode", "signing_secret_input"]

        found = self.env[ENDPOINT].load(
            names, [["New", "new", "draft", "Standard Webhooks", SHORT]]
        )

        self.assertFalse(found["ids"])
        self.assertIn("at least 24", found["messages"][0]["message"])

    def test_long_secrets(self):
        """The shortest allowed ones are stored, without the blanks around them."""
        for mode, secret in (("standard", LONG), ("hmac", "k" * 16), ("hmac", SHORT)):
            for way, enter in self.refusals(mode=mode, secret=f" {secret} ").items():
                with self.subTest(mode, way=way):
                    enter()
                    stored = self.env[ENDPOINT].search([], order="id desc", limit=1)
                    endpoint = self.endpoint if way in ("write", "form") else stored
                    self.assertEqual(secret, endpoint.sudo().signing_secret)
                    (stored - self.endpoint).unlink()

    def test_the_dialog_makes_long_ones(self):
        """Generate Secret passes the check in both modes."""
        for mode in ("standard", "hmac"):
            self.endpoint.signing_mode = mode
            dialog = self.env[SECRET].create({"endpoint_id": self.endpoint.id})

            secret = dialog.action_generate()["context"]["default_secret"]

            self.endpoint._check_new_signing_secret({"signing_secret_input": secret})
            self.assertEqual(secret, self.endpoint.sudo().signing_secret)

    def test_a_stored_short_secret_is_still_used(self):
        """An update doesn't stop endpoints whose receiver knows the short secret."""
        self.endpoint.write({"signing_mode": "hmac", "signing_secret_input": "k" * 16})
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_endpoint SET signing_secret = 'short' "
            "WHERE id = %s",
            (self.endpoint.id,),
        )
        self.env.invalidate_all()

        self.endpoint.write({"hmac_prefix": "v1="})

        self.assertEqual("short", self.endpoint.sudo()._signature().secret)
