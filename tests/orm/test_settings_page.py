# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The page of settings has every setting, with the default of the code."""

import re
from pathlib import Path

from odoo.models import MAGIC_COLUMNS
from odoo.tests import tagged
from odoo.tests.common import TransactionCase

from odoo.addons.bwt_webhooks_outbound.models import (
    endpoint_policy,
    forget_search,
    res_config_settings,
)

from ..constants import ENDPOINT

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "settings.md"
# Written by buttons and lanes, or made by the rest of the form.
NO_SETTINGS = {
    *("circuit_reset_at", "secret_expires_at", "payload_sample_ref"),
    *("body_limited_to_user_id", "config_version"),
    *("outbound_delivery_ids", "health_ids"),
    # Secrets are entered in fields called ..._input.
    *("auth_secret", "signing_secret", "old_secret", "client_certificate"),
}
# Shown instead of the value that a new record has.
DEFAULTS = {
    "company_id": "the user's",
    "responsible_id": "the user who creates it",
}


@tagged("post_install", "-at_install")
class TestSettingsPage(TransactionCase):
    def rows(self, heading, place):
        """name -> cells of the table below a heading; place: of the name in a row."""
        [table] = re.findall(
            rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)",
            PAGE.read_text(),
            re.MULTILINE | re.DOTALL,
        )
        lines = [line for line in table.splitlines() if line.startswith("| ")]
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]
        return {row[place].strip("`"): row for row in rows}

    def shown(self, record, name):
        """The default of a field as the page shows it."""
        value = record[name]
        field = record._fields[name]
        if name in DEFAULTS:
            return DEFAULTS[name]
        if field.type == "selection":
            return dict(field._description_selection(self.env))[value]
        if field.type == "boolean":
            return "yes" if value else "no"
        if field.relational or field.type == "reference":
            return "" if value else "none"
        return str(value) if value or field.type == "integer" else "empty"

    def compare(self, model, names, rows, default, *, prefix=""):
        """Every setting is listed, with its label and its default."""
        record = self.env[model].new({})
        self.assertEqual(set(names), set(rows))
        wrong = []
        for name, cells in rows.items():
            field = record._fields[name]
            label = field._description_string(self.env).removeprefix(prefix)
            label = label.removesuffix(" Seconds")  # the form shows the unit behind it
            shown = self.shown(record, name) if cells[default] else ""
            if (label, shown) != (cells[0], cells[default].strip("`")):
                wrong.append((name, label, shown))
        self.assertEqual([], wrong)

    def test_endpoint(self):
        """A field that a user can set is on the page, and the page has no other."""
        fields = self.env[ENDPOINT]._fields
        base = set(self.env["mail.thread"]._fields)
        base |= set(self.env["mail.activity.mixin"]._fields)
        names = [
            name
            for name, field in fields.items()
            if name not in base | NO_SETTINGS | set(MAGIC_COLUMNS)
            and (name.endswith("_input") or not (field.related or field.compute))
        ]
        rows = self.rows("Endpoint", 1)

        self.compare(ENDPOINT, names, rows, 2)

    def test_ranges_of_the_endpoint(self):
        """The largest values are those that are accepted."""
        rows = self.rows("Endpoint", 1)
        for name, most in (
            ("timeout_seconds", endpoint_policy.TIMEOUT_MAX),
            ("max_in_flight", endpoint_policy.IN_FLIGHT_MAX),
            ("parallel_lanes", endpoint_policy.LANES_MAX),
        ):
            self.assertTrue(rows[name][3].endswith(f"1 to {most}"), name)

    def test_server_action(self):
        """The same for the server action."""
        action = self.env["ir.actions.server"]
        names = [
            name
            for name, field in action._fields.items()
            if name.startswith("bwt_webhook_") and not field.compute
            if not (field.related or name == "bwt_webhook_sample_id")
        ]

        self.compare(
            action._name, names, self.rows("Server action", 1), 2, prefix="Webhook "
        )

    def test_system_parameters(self):
        """Every key in the code is on the page."""
        keys = {
            res_config_settings.PARAMETER,
            res_config_settings.PROXY_PARAMETER,
            forget_search.PARAMETER,
        }
        for folder in ("models", "lane", "services", "wizards"):
            for path in (ROOT / folder).rglob("*.py"):
                text = path.read_text()
                if "get_param(" in text or "set_param(" in text or "PARAMETER" in text:
                    keys |= set(
                        re.findall(r'^    "(bwt_webhooks_outbound\.\w+)"', text, re.M)
                    )

        self.assertEqual(keys, set(self.rows("System parameters", 0)))
