# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets in the log of OCA's auditlog, and in what any addon reads as superuser."""

import re
import tempfile
from pathlib import Path

from odoo import Command
from odoo.tests import tagged

from ..certificates import Authority
from ..constants import DELIVERY, ENDPOINT, TOKEN
from .request_case import RequestCase, need_test_addon

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["auth_secret", "signing_secret", "old_secret", "client_certificate"]
PARAMETER = "ir.config_parameter"
SETTINGS = "res.config.settings"
AUTH = "pl4nted-auth-secret"
OTHER_AUTH = "pl4nted-another-auth-secret"
SIGN = "pl4nted-signing-secret-of-32-bytes"
OTHER_SIGN = "pl4nted-another-signing-secret"
PROXY = "http://user:pl4nted-password@127.0.0.1:3128"
ACCESS_TOKEN = "pl4nted-access-token"
PLANTED = ("pl4nted", "PRIVATE KEY")
VALUES = ("old_value", "old_value_text", "new_value", "new_value_text")


class SecretsCase(RequestCase):
    """An endpoint with every secret."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.certificate = Authority(folder).issue("odoo.example.com")

    def enter_secrets(self):
        secrets = {
            "auth_mode": "bearer",
            "auth_secret_input": AUTH,
            "signing_mode": "hmac",
            "signing_secret_input": SIGN,
            "client_certificate_input": self.certificate,
        }
        values = {"name": "Audited", "code": "audited"}
        values["target_hostname"] = "https://shop.example.com"
        return self.env[ENDPOINT].create(values | secrets)


@tagged("post_install", "-at_install")
class TestSecretsRead(SecretsCase):
    def test_superuser_reads_a_mask(self):
        """Reading stored secrets as superuser returns *** for each.

        Addons that log or compare records read all stored fields like this.
        """
        endpoint = self.enter_secrets()
        endpoint._store_secrets({"old_secret": OTHER_SIGN})

        [row] = endpoint.sudo().read(COLUMNS)
        self.assertEqual(["***"] * 4, [row[name] for name in COLUMNS])
        self.assertEqual(AUTH, endpoint._read_secret("auth_secret"))

    def test_no_secret_reads_as_none(self):
        """A secret that isn't set is distinguished from one that is."""
        [row] = self.endpoint.sudo().read(COLUMNS)

        self.assertEqual([False] * 4, [row[name] for name in COLUMNS])

    def test_access_token_reads_as_a_mask(self):
        """An access token of a token server is a secret like any other."""
        row = self.env[TOKEN].sudo().search([("endpoint_id", "=", self.endpoint.id)])
        row.value = ACCESS_TOKEN

        self.assertEqual("***", row.read(["value"])[0]["value"])


@tagged("post_install", "-at_install")
class TestAuditLog(SecretsCase):
    """Each test runs with the rules that log all, and with those that log inputs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_test_addon(cls.env, "auditlog.rule")

    def rules(self, kind):
        """Confirmed rules that log everything; removed at the end of the block."""
        rules = self.env["auditlog.rule"].create(
            [
                {
                    "name": model,
                    "model_id": self.env["ir.model"]._get(model).id,
                    "log_type": kind,
                    "log_read": True,
                    "capture_record": True,
                }
                for model in (ENDPOINT, TOKEN, DELIVERY, SETTINGS, PARAMETER)
            ]
        )
        self.addCleanup(rules.unlink)  # else the models stay patched
        rules.set_to_confirmed()
        return rules

    def logged(self, model):
        """The values that the log has of a model: field -> set of texts."""
        self.env.flush_all()
        lines = self.env["auditlog.log.line"].search(
            [("log_id.model_id.model", "=", model)]
        )
        found = {}
        for line in lines:
            texts = found.setdefault(line.field_name, set())
            texts.update(line[name] for name in VALUES if line[name])
        for name, texts in found.items():
            for text in texts:
                for planted in PLANTED:
                    self.assertNotIn(planted, text, f"{model}.{name}")
        return found

    def write_all(self):
        """Every secret is entered, replaced, removed, and deleted with its record."""
        endpoint = self.enter_secrets()
        endpoint.write({"auth_secret_input": OTHER_AUTH})
        endpoint.web_save({"signing_secret_input": OTHER_SIGN}, {"name": {}})
        endpoint.sudo().read(COLUMNS)
        endpoint._generate_secret(24)
        tokens = self.env[TOKEN].sudo()
        tokens.search([("endpoint_id", "=", endpoint.id)]).value = ACCESS_TOKEN
        endpoint.write({"auth_mode": "none"})
        endpoint.unlink()
        self.env[SETTINGS].create({"bwt_webhook_proxy": PROXY}).execute()
        self.env[SETTINGS].create({"bwt_webhook_proxy": False}).execute()

    def test_full_log(self):
        """A rule that logs stored values has *** for each secret."""
        self.rules("full")
        self.write_all()

        logged = self.logged(ENDPOINT)
        for name in ("auth_secret", "signing_secret", "client_certificate"):
            self.assertEqual({"***"}, logged[name], name)
        self.assertEqual({"***"}, self.logged(TOKEN)["value"])
        self.assertEqual({"***"}, self.logged(SETTINGS)["bwt_webhook_proxy"])
        self.assertIn("***", self.logged(PARAMETER)["value"])

    def test_fast_log(self):
        """A rule that logs what a save was called with has *** for each secret."""
        self.rules("fast")
        self.write_all()

        logged = self.logged(ENDPOINT)
        for name in ("auth_secret", "signing_secret", "client_certificate"):
            self.assertEqual({"***"}, logged[f"{name}_input"], name)
        self.assertEqual({"***"}, self.logged(TOKEN)["value"])
        self.assertEqual({"***"}, self.logged(SETTINGS)["bwt_webhook_proxy"])
        self.assertIn("***", self.logged(PARAMETER)["value"])

    def check_contents_are_excluded(self, kind):
        guide = (ROOT / "docs" / "ecosystem.md").read_text()
        [line] = re.findall(r"^`payload_json`, .*$", guide, re.M)
        ids = self.env["ir.model.fields"]._get_ids(DELIVERY)
        excluded = [ids[name] for name in re.findall(r"`(\w+)`", line)]
        self.rules(kind).fields_to_exclude_ids = [Command.set(excluded)]

        delivery = self.endpoint.queue_delivery(
            {"a": AUTH}, {"key": AUTH}, headers={"X-Key": AUTH}, ordering_key=AUTH
        )
        delivery.action_cancel_delivery()
        delivery.unlink()

        self.assertIn("state", self.logged(DELIVERY))

    def test_contents_are_excluded_from_a_full_log(self):
        """Without the fields that the guide names, it has no content of deliveries."""
        self.check_contents_are_excluded("full")

    def test_contents_are_excluded_from_a_fast_log(self):
        """Likewise for what a call of `create` or `write` was given."""
        self.check_contents_are_excluded("fast")

    def test_other_values_are_logged(self):
        """The log still says what else was changed, and other parameters."""
        self.rules("full")
        self.endpoint.target_path = "/audited"
        self.env[PARAMETER].set_param("bwt_test_audit.other", "plain text")

        self.assertIn("/audited", self.logged(ENDPOINT)["target_path"])
        self.assertIn("plain text", self.logged(PARAMETER)["value"])
