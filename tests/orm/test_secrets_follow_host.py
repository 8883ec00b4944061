# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What was entered for one host is never sent to another."""

import pathlib
import tempfile

from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..certificates import Authority
from ..constants import ENDPOINT, TOKEN
from ..receiver import Receiver
from .request_case import assignment
from .trust_case import TrustCase

OLD = "https://api.example.com"
NEW = "https://api.example.org"
COLUMNS = ("auth_secret", "signing_secret", "old_secret", "client_certificate")


class FollowCase(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.certificate = Authority(folder).issue("odoo.example.com")
        cls.endpoint.target_hostname = OLD
        cls.fill(cls.endpoint)

    @classmethod
    def fill(cls, endpoint, **values):
        """An endpoint with a secret of each kind."""
        endpoint.write(
            {
                "auth_mode": "bearer",
                "auth_secret_input": "t0ken-of-old",
                "signing_mode": "standard",
                "client_certificate_input": cls.certificate,
                **values,
            }
        )
        for _each in range(2):
            endpoint._generate_secret(24)
        cls.env[TOKEN]._keep(endpoint.id, value="a-t0ken", renew_at=9e12)

    def kept(self, endpoint=None):
        """The columns that hold a secret."""
        endpoint = (endpoint or self.endpoint).sudo()
        endpoint.invalidate_recordset()
        return {name for name in COLUMNS if endpoint[name]}

    def token(self, endpoint=None):
        return self.env[TOKEN]._row((endpoint or self.endpoint).id).value


@tagged("post_install", "-at_install")
class TestSecretsFollowHost(FollowCase):
    def test_another_host_forgets_all(self):
        """Scheme, host and port each make another target: nothing is left for it.

        Else anyone who may write the host receives the bearer, and a signature over a
        body of their choice that the receiver before accepts.
        """
        for host in (
            "http://api.example.com",
            "https://api.example.com:8443",
            NEW,
            "https://xapi.example.com",
            "https://api.example.com.evil.example",
        ):
            with self.subTest(host), self.env.cr.savepoint() as savepoint:
                self.endpoint.target_hostname = host

                self.assertEqual(set(), self.kept())
                self.assertFalse(self.token())
                self.assertFalse(self.endpoint.secret_expires_at)
                savepoint.rollback()
            self.env.invalidate_all()

    def test_the_same_host_keeps_all(self):
        """Another spelling of the target, and any other setting, deletes nothing."""
        for values in (
            {"target_hostname": OLD},
            {"target_hostname": f" {OLD}/ "},
            {"target_hostname": "HTTPS://API.example.com:443"},
            {"target_path": "/other"},
            {"http_method": "put"},
            {"name": "Renamed", "note": "x", "timeout_seconds": 5},
            {"oauth_token_url": "https://login.example.com/token"},
            {"state": "draft"},
        ):
            with self.subTest(values):
                self.endpoint.write(values)

                self.assertEqual(set(COLUMNS), self.kept())
                self.assertEqual("a-t0ken", self.token())

    def test_what_is_entered_in_the_same_save_is_kept(self):
        """One save moves an endpoint; only what was entered for the new one is left."""
        self.endpoint.write(
            {
                "target_hostname": NEW,
                "auth_secret_input": "t0ken-of-new",
            }
        )

        self.assertEqual({"auth_secret"}, self.kept())
        self.assertEqual("t0ken-of-new", self.endpoint.sudo().auth_secret)

    def test_nothing_of_it_reaches_the_new_host(self):
        """A delivery stops in Error and says what is missing; nothing is sent."""
        with Receiver() as other:
            self.endpoint.target_hostname = other.url

            delivery = self.process({"a": 1})

            self.assertEqual(0, other.total)
        self.assertEqual("error", delivery.state)
        self.assertIn("secret", delivery.processing_error)

    def test_through_an_empty_host(self):
        """A draft without a host is a change, too: two steps lead nowhere else."""
        self.endpoint.state = "draft"

        self.endpoint.target_hostname = False

        self.assertEqual(set(), self.kept())

    def test_a_first_host_forgets_nothing(self):
        """Secrets may be entered before the host is known."""
        endpoint = self.env[ENDPOINT].create(
            {"name": "New", "code": "new", "state": "draft"}
        )
        self.fill(endpoint)

        endpoint.target_hostname = OLD

        self.assertEqual(set(COLUMNS), self.kept(endpoint))

    def test_another_token_url_forgets_the_client_secret(self):
        """The client secret and certificate go to the token server, the token follows.

        The signing secret was never its business and stays.
        """
        self.fill(
            self.endpoint,
            auth_mode="oauth2",
            oauth_token_url="https://login.example.com/token",
            oauth_client_id="shop",
        )

        self.endpoint.oauth_token_url = "https://login.example.com/v2/token"
        self.assertEqual(set(COLUMNS), self.kept(), "same server")
        self.endpoint.oauth_token_url = "https://login.example.org/token"

        self.assertEqual({"signing_secret", "old_secret"}, self.kept())
        self.assertFalse(self.token())
        with self.refused("OAuth2 needs"), self.env.cr.savepoint():
            self.endpoint.auth_secret_input = False
        self.endpoint.auth_secret_input = "cl1ent-of-new"
        self.assertIn("auth_secret", self.kept())

    def test_a_client_secret_does_not_reach_a_new_host_as_token(self):
        """With OAuth2 a token would be got with it and sent to the new host."""
        self.fill(
            self.endpoint,
            auth_mode="oauth2",
            oauth_token_url="https://login.example.com/token",
            oauth_client_id="shop",
        )

        self.endpoint.target_hostname = NEW

        self.assertEqual(set(), self.kept())

    def test_it_is_said(self):
        """The chatter names what is gone, without a host that not everyone may see,
        and the user who saved is notified."""
        user = self.user("administrator")
        before = self.endpoint.message_ids
        bus = self.env["bus.bus"].search([], order="id desc", limit=1).id

        self.endpoint.with_user(user).target_hostname = NEW
        self.env.cr.precommit.run()

        message = (self.endpoint.message_ids - before).filtered("body")
        text = "removed: Secret, Signing Secret, Client Certificate"
        self.assertIn(text, message.body)
        self.assertNotIn("example.org", message.body)
        self.assertEqual(user.partner_id, message.author_id)
        sent = self.env["bus.bus"].search([("id", ">", bus)]).mapped("message")
        self.assertTrue([each for each in sent if text in each], sent)

    def test_the_form_warns_before_it_is_saved(self):
        """There is a warning while the host is typed, unless new ones are there."""
        spec = {"target_hostname": {}}
        values = {"target_hostname": NEW}
        new = {name: "x" * 40 for name in ("auth_secret_input", "signing_secret_input")}
        new["client_certificate_input"] = self.certificate

        warned = self.endpoint.onchange(values, ["target_hostname"], spec)
        same = self.endpoint.onchange(
            {"target_hostname": f"{OLD}/"}, ["target_hostname"], spec
        )
        entered = self.endpoint.onchange(values | new, ["target_hostname"], spec)

        self.assertIn("removed: Secret, Signing", warned["warning"]["message"])
        self.assertNotIn("warning", same)
        self.assertNotIn("warning", entered)

    def test_target_and_authentication_are_tracked(self):
        """Who changed where requests go, and as whom, is in the chatter."""
        endpoint = self.endpoint.with_context(tracking_disable=False)
        self.env.cr.precommit.run()  # of what was created in this transaction
        before = endpoint.message_ids
        values = {
            "target_hostname": NEW,
            "target_path": "/in",
            "http_method": "put",
            "auth_mode": "basic",
            "auth_user": "ada",
            "auth_secret_input": "n3w-secret",
            "signing_mode": "none",
        }

        endpoint.write(values)
        self.env.flush_all()
        self.env.cr.precommit.run()
        self.env.invalidate_all()

        tracked = (endpoint.message_ids - before).tracking_value_ids
        expected = set(values) - {"auth_secret_input"}
        self.assertLessEqual(expected, set(tracked.field_id.mapped("name")))
        self.assertNotIn("n3w-secret", str(tracked.read()))

    def test_data_files_keep_secrets(self):
        """An update writes the same host again; only another one forgets."""
        data = {
            "xml_id": "bwt_webhooks_outbound.test_follow",
            "noupdate": False,
            "values": {
                "name": "By data",
                "code": "by-data",
                "target_hostname": OLD,
                "target_path": "/in",
            },
        }
        records = self.env[ENDPOINT].with_context(install_mode=True)
        endpoint = records._load_records([data])
        self.fill(endpoint)

        records._load_records([data], update=True)
        self.assertEqual(set(COLUMNS), self.kept(endpoint))
        data["values"] |= {"target_hostname": NEW}
        records._load_records([data], update=True)

        self.assertEqual(set(), self.kept(endpoint))

    def test_a_snapshot_has_host_and_secrets_of_one_moment(self):
        """A lane that read the secrets before the host changed sends to the old one.

        It uses what it read for half a second, and its next batch reads the endpoint
        again: the new host would receive the bearer of the old one.
        """
        delivery = self.deliver({"a": 1})
        snapshot = self.endpoint._outbound_snapshot()

        self.endpoint.target_hostname = NEW

        request = delivery._in_build_env(snapshot)._build_outbound_request()
        self.assertEqual(f"{OLD}/orders", request.target_url)
        self.assertEqual("t0ken-of-old", snapshot.trust.credential.value[7:])
        self.assertEqual(
            "https://api.example.org/orders",
            delivery._build_outbound_request().target_url,
        )

    def test_a_rule_does_not_send_them_elsewhere(self):
        """A handler's rule that sets another URL is refused while there are secrets.

        Else anyone who may write a handler needs no right to change the host.
        """
        self.handler(
            {
                "assignment_ids": [
                    assignment("request", "target_url", "https://evil.example/x")
                ]
            }
        )
        with self.refused('rule "rule 1" sends to https://evil.example/x'):
            self.handler_outcome()

        self.endpoint.write(
            {"auth_mode": "none", "signing_mode": "none", "target_hostname": OLD}
        )
        self.endpoint.action_remove_client_certificate()

        self.assertEqual(
            "https://evil.example/x", self.handler_outcome().request.target_url
        )

    def test_a_rule_may_change_the_path(self):
        """The same host by a rule is the same target."""
        self.handler(
            {"assignment_ids": [assignment("request", "target_url", f"{OLD}/v2")]}
        )

        self.assertEqual(f"{OLD}/v2", self.handler_outcome().request.target_url)


@tagged("post_install", "-at_install")
class TestSecretsFollowBackend(FollowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("shop.backend")
        cls.backend = cls.env["shop.backend"].create(
            {"name": "Shop", "token": "t0", "api_base_url": f"{OLD}/v1"}
        )

    def link(self, endpoint=None):
        reference = self.backend._get_connector_backend_reference()
        (endpoint or self.endpoint).connector_backend_ref = reference

    def test_a_backend_of_the_same_host_keeps_them(self):
        """Linking, another version in the path and other values change no host."""
        self.link()
        self.backend.write({"api_base_url": f"{OLD}/v2", "name": "Renamed"})

        self.assertEqual(set(COLUMNS), self.kept())

    def test_another_base_url_forgets_them(self):
        """A user who may write the backend does not receive the endpoint's secrets."""
        self.link()

        self.backend.api_base_url = NEW

        self.assertEqual(set(), self.kept())
        self.assertIn("removed", self.endpoint.message_ids[:1].body)

    def test_a_snapshot_has_the_backends_url_of_one_moment(self):
        """A base URL that is changed while a lane runs does not get its secrets."""
        self.link()
        delivery = self.deliver({"a": 1})
        snapshot = self.endpoint._outbound_snapshot()

        self.backend.api_base_url = NEW

        request = delivery._in_build_env(snapshot)._build_outbound_request()
        self.assertEqual(f"{OLD}/v1/orders", request.target_url)

    def test_no_base_url_falls_back_to_another_host(self):
        """Without one the endpoint's own host is the target."""
        self.link()
        self.endpoint.target_hostname = NEW
        self.assertEqual(set(COLUMNS), self.kept(), "the backend's URL wins")

        self.backend.api_base_url = False

        self.assertEqual(set(), self.kept())

    def test_another_backend_forgets_them(self):
        """Linked to another shop, the endpoint sends to another host."""
        self.backend.api_base_url = "https://shop.example.org"

        self.link()

        self.assertEqual(set(), self.kept())

    def test_a_backend_that_may_not_be_read_is_not_linked(self):
        """Its headers, a token among them, would be sent to the endpoint's host."""
        admin = self.user("administrator")
        endpoint = self.endpoint.with_user(admin)
        self.env["ir.rule"].create(
            {
                "name": "No shops",
                "model_id": self.env["ir.model"]._get_id("shop.backend"),
                "domain_force": "[(0, '=', 1)]",
            }
        )
        self.assertFalse(self.backend.with_user(admin).has_access("read"))

        with self.assertRaises(AccessError), self.env.cr.savepoint():
            self.link(endpoint)
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            endpoint.create(
                {
                    "name": "E",
                    "code": "e",
                    "target_hostname": OLD,
                    "connector_backend_ref": f"shop.backend,{self.backend.id}",
                }
            )
