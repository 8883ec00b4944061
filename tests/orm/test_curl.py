# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A request as a command for a terminal."""

import shlex
import subprocess
from shutil import which
from unittest import skipUnless

from .trust_case import TrustCase


class TestCurl(TrustCase):
    """Copy as cURL: the request of an attempt as a command."""

    def command_of(self, delivery):
        """The arguments of the command as a shell reads them."""
        return shlex.split(delivery.curl_command.replace("\\\n", " "))

    def test_secrets_are_masked(self):
        """What is pasted into a ticket holds no credential."""
        self.endpoint.write(
            {"auth_mode": "bearer", "auth_secret_input": "t0ken-secret"}
        )

        arguments = self.command_of(self.process({"key": "t0ken-secret"}))

        self.assertNotIn("t0ken-secret", " ".join(arguments))
        self.assertIn("Authorization: ***", arguments)

    @skipUnless(which("curl"), "needs curl")
    def test_the_command_sends_the_same_body(self):
        """Run as it is it sends method, path and body once more, in each mode."""
        for mode in ("json", "form_urlencoded", "multipart"):
            with self.subTest(mode):
                self.endpoint.request_body_mode = mode
                self.receiver.clear()
                delivery = self.process({"a": {"b": "it's é"}})
                arguments = self.command_of(delivery)
                before = self.receiver.total

                subprocess.run([*arguments, "--silent"], check=True, timeout=20)

                first, second = self.receiver.wait_for_requests(before + 1)[-2:]
                self.assertEqual(first.path, second.path)
                self.assertEqual(
                    first.header("webhook-id"), second.header("webhook-id")
                )
                if mode != "multipart":  # its boundary is drawn at random
                    self.assertEqual(first.body, second.body)
                else:
                    self.assertIn("it's é".encode(), second.body)

    def test_what_was_never_sent_has_none(self):
        """Without an attempt there is no command, and no button."""
        self.assertFalse(self.deliver().curl_command)
