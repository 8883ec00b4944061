# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Settings > Webhooks: allowed networks, proxy, defaults for new endpoints."""

from unittest.mock import patch

from lxml import etree

from odoo.exceptions import AccessError
from odoo.tests import Form, TransactionCase, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.exceptions import (
    WebhookProcessingConfigurationError,
)
from odoo.addons.bwt_webhooks_outbound.models import res_config_settings
from odoo.addons.bwt_webhooks_outbound.models.res_config_settings import (
    PROXY_PARAMETER,
    egress_policy,
    egress_proxy,
)

from ..constants import ADMINISTRATOR, ALLOWED_NETWORKS, ENDPOINT

SETTINGS = "res.config.settings"
PROXY = "http://odoo:pass%2Fword@proxy.example:3128"


@tagged("post_install", "-at_install")
class TestSettings(TransactionCase):
    def save(self, **values):
        values = {f"bwt_webhook_{name}": value for name, value in values.items()}
        self.env[SETTINGS].create(values).execute()

    def shown(self, name):
        name = f"bwt_webhook_{name}"
        return self.env[SETTINGS].default_get([name]).get(name)

    def set(self, key, value):
        self.env["ir.config_parameter"].set_param(key, value)

    def parameter(self, key):
        return self.env["ir.config_parameter"].get_param(key)

    def new_endpoint(self, **values):
        target = {
            "name": "Orders",
            "code": "orders",
            "target_hostname": "https://a.com",
        }
        return self.env[ENDPOINT].create(target | values)

    # Allowed networks and hosts

    def test_a_list_that_was_stored_with_commas_is_shown_by_line(self):
        """The parameter that earlier guides named is still read."""
        self.set(ALLOWED_NETWORKS, "10.1.2.0/24, erp.intern")

        self.assertEqual("10.1.2.0/24\nerp.intern", self.shown("allowed_networks"))

    def test_networks_are_allowed_as_soon_as_they_are_saved(self):
        """The text of the form is what the engine reads, blank lines left out."""
        self.save(allowed_networks="10.1.2.0/24\n\n  erp.intern  \n")

        policy = egress_policy(self.env)
        self.assertIn("10.1.2.0/24", map(str, policy.allowed_networks))
        self.assertIn("erp.intern", policy.allowed_hosts)

    def test_a_wrong_line_is_named(self):
        """The message says which line; nothing is stored. Otherwise every delivery
        would fail at its next attempt."""
        self.set(ALLOWED_NETWORKS, "127.0.0.0/8")

        for line, reason in (
            ("10.1.2.3/24", "Write 10.1.2.0/24"),
            ("10.1.2.0/99", "is not valid"),
            ("*.intern", "is not a valid host name"),
            ("http://erp.intern", "Write a network, an address or a host name"),
        ):
            with (
                self.subTest(line),
                self.assertRaises(WebhookProcessingConfigurationError) as caught,
            ):
                self.save(allowed_networks=f"127.0.0.0/8\n{line}")
            self.assertIn(
                "Allowed Networks and Hosts, line 2: A", str(caught.exception)
            )
            self.assertIn(reason, str(caught.exception))
        self.assertEqual("127.0.0.0/8", self.parameter(ALLOWED_NETWORKS))

    def test_other_settings_can_be_saved_beside_a_wrong_parameter(self):
        """A parameter that was written elsewhere doesn't lock all settings of Odoo."""
        self.set(ALLOWED_NETWORKS, "not valid")

        self.save(default_timeout_seconds=20)

        self.assertEqual("not valid", self.parameter(ALLOWED_NETWORKS))

    def test_what_odoo_conf_allows_is_shown(self):
        """An administrator sees why an address is allowed that isn't in the list."""
        with patch.object(
            res_config_settings,
            "networks_of_odoo_conf",
            return_value="10.9.0.0/16, conf.intern",
        ):
            shown = self.shown("networks_of_odoo_conf")

        self.assertEqual("10.9.0.0/16\nconf.intern", shown)

    # Proxy

    def test_the_password_of_the_proxy_is_not_shown(self):
        """It stays what it is when other settings are saved, or the form as it is."""
        self.save(proxy=PROXY)

        shown = self.shown("proxy")
        self.save(proxy=shown, default_timeout_seconds=20)

        self.assertEqual("http://odoo:***@proxy.example:3128", shown)
        self.assertEqual(PROXY, self.parameter(PROXY_PARAMETER))
        self.assertEqual("odoo:pass/word", egress_proxy(self.env).credentials)

    def test_the_password_does_not_follow_to_another_proxy(self):
        """Otherwise a user who changes the host reads the password there."""
        self.save(proxy=PROXY)

        with self.assertRaisesRegex(
            WebhookProcessingConfigurationError, "Enter the password"
        ):
            self.save(proxy="http://odoo:***@other.example:3128")

        self.assertEqual(PROXY, self.parameter(PROXY_PARAMETER))

    def test_a_wrong_proxy_is_refused(self):
        for proxy in ("proxy.example:3128", "https://proxy.example", "http://proxy"):
            with (
                self.subTest(proxy),
                self.assertRaisesRegex(
                    WebhookProcessingConfigurationError, "^Proxy: The proxy is not"
                ),
            ):
                self.save(proxy=proxy)

    def test_the_proxy_can_be_removed(self):
        self.save(proxy=PROXY)

        self.save(proxy=False)

        self.assertIsNone(egress_proxy(self.env))

    # Defaults for new endpoints

    def test_defaults_apply_to_every_new_endpoint(self):
        """By code, in the form, by import: they are Odoo's own defaults."""
        existing = self.new_endpoint(code="existing")
        self.save(
            default_retry_schedule="1m,1h",
            default_timeout_seconds=20,
            default_retention_days=7,
        )

        by_code = self.new_endpoint()
        with Form(self.env[ENDPOINT]) as form:
            form.name, form.code, form.target_hostname = "B", "b", "https://b.com"
        header = ["name", "code", "target_hostname"]
        result = self.env[ENDPOINT].load(header, [["C", "c", "https://c.com"]])
        imported = self.env[ENDPOINT].browse(result["ids"])

        names = ("retry_schedule", "timeout_seconds", "retention_days")
        for endpoint in (by_code, form.record, imported):
            self.assertEqual(("1m,1h", 20, 7), tuple(endpoint[name] for name in names))
        self.assertEqual((30, 90), (existing.timeout_seconds, existing.retention_days))
        given = self.new_endpoint(code="given", timeout_seconds=5)
        self.assertEqual(5, given.timeout_seconds)

    def test_no_retry_can_be_the_default(self):
        """An empty schedule is a choice, not the absence of one."""
        self.save(default_retry_schedule=False)

        self.assertFalse(self.new_endpoint().retry_schedule)
        self.assertFalse(self.shown("default_retry_schedule"))

    def test_nothing_is_stored_that_was_not_changed(self):
        """Saving other settings keeps the defaults that a later version brings."""
        self.save()

        domain = [("field_id.model", "=", ENDPOINT)]
        self.assertFalse(self.env["ir.default"].search(domain))
        self.assertEqual(30, self.shown("default_timeout_seconds"))

    def test_wrong_defaults_are_refused(self):
        """Otherwise no endpoint could be created any more."""
        for name, value, message in (
            ("timeout_seconds", 0, "Enter a value from 1 to 60"),
            ("timeout_seconds", 61, "Enter a value from 1 to 60"),
            ("retention_days", -1, "Enter a value from 0"),
            ("retry_schedule", "5x", '"5x"'),
        ):
            with (
                self.subTest(name, value=value),
                self.assertRaisesRegex(WebhookProcessingConfigurationError, message),
            ):
                self.save(**{f"default_{name}": value})
        self.assertEqual(30, self.new_endpoint().timeout_seconds)

    # Rights

    def test_only_settings_administrators_see_and_change_them(self):
        """A webhook administrator can't allow internal addresses or read the proxy."""
        self.set(PROXY_PARAMETER, PROXY)
        user = new_test_user(self.env, "hooks", ADMINISTRATOR)
        settings = self.env[SETTINGS].with_user(user)
        menu = self.env.ref("bwt_webhooks_outbound.menu_webhooks_settings")

        fields = [name for name in settings._fields if name.startswith("bwt_webhook")]
        self.assertFalse(set(fields) & settings.default_get(fields).keys())
        with self.assertRaises(AccessError):
            settings.create({})
        with self.assertRaises(AccessError):
            self.new_endpoint().with_user(user).env[SETTINGS].get_views(
                [(None, "form")]
            )
        self.assertNotIn(menu.id, menu.with_user(user)._visible_menu_ids())
        self.assertIn(menu.id, menu._visible_menu_ids())

    def test_the_form_shows_all_settings(self):
        """A field that the view lost could only be changed in the parameters."""
        view = self.env[SETTINGS].get_view(view_type="form")

        [app] = etree.fromstring(view["arch"]).xpath(
            "//app[@name='bwt_webhooks_outbound']"
        )
        shown = {node.get("name") for node in app.iter("field")}
        fields = self.env[SETTINGS]._fields
        self.assertEqual(
            {name for name in fields if name[:12] == "bwt_webhook_"}, shown
        )
