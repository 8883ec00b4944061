# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may read what, tried by real HTTP clients with API keys (`/json/2/...`).

A delivery is built as superuser: whatever a client may name on it is read for them.
"""

import json

from odoo import Command
from odoo.tests import HttpCase, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.tests.constants import (
    ADMINISTRATOR,
    ALLOWED_NETWORKS,
    DELIVERY,
    ENDPOINT,
    HEADER_RULE,
    HEALTH,
    OPERATOR,
    PAYLOAD_RULE,
    RECOVER,
    SECRET,
    SEND_TEST,
)
from odoo.addons.bwt_webhooks_outbound.tests.receiver import Receiver

MARK = "s3cret-mark"  # nobody but Settings administrators may read what holds it
MODEL_ACCESS = "partner_id.user_ids.group_ids.model_access.name"
REFUSED = 403
INVALID = 422


@tagged("post_install", "-at_install", "any_database")
class TestJson2Access(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context=dict(cls.env.context, tracking_disable=True))
        cls.receiver = cls.enterClassContext(Receiver())
        parameters = cls.env["ir.config_parameter"].sudo()
        parameters.set_param(ALLOWED_NETWORKS, "127.0.0.0/8")
        parameters.set_param("bwt_test.secret", MARK)
        cls.parameter = parameters.search([("key", "=", "bwt_test.secret")])
        cls.other = cls.env["res.company"].create({"name": f"Other {MARK}"})
        theirs = {
            "company_id": cls.other.id,
            "company_ids": [Command.set(cls.other.ids)],
        }
        cls.users = {
            "portal": new_test_user(cls.env, "j-portal", "base.group_portal"),
            "internal": new_test_user(cls.env, "j-internal", "base.group_user"),
            "operator": new_test_user(cls.env, "j-operator", OPERATOR),
            "administrator": new_test_user(cls.env, "j-admin", ADMINISTRATOR),
            "other administrator": new_test_user(
                cls.env, "j-other", ADMINISTRATOR, **theirs
            ),
            "settings": new_test_user(
                cls.env, "j-settings", "base.group_user,base.group_system"
            ),
        }
        cls.keys = {
            name: cls.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate(None, "test", None)
            for name, user in cls.users.items()
        }
        cls.endpoint = cls._endpoint("ours", cls.env.company)
        cls.theirs = cls._endpoint("theirs", cls.other)
        cls.partner = cls.env["res.partner"].create({"name": "Ada", "ref": "A-1"})
        cls.their_partner = cls.env["res.partner"].create(
            {"name": f"Bob {MARK}", "company_id": cls.other.id}
        )
        cls.mail_server = cls.env["ir.mail_server"].create(
            {"name": MARK, "smtp_host": "mail.example.com", "smtp_pass": MARK}
        )
        # A conversation of two others, and what is attached to a parameter.
        cls.channel = cls.env["discuss.channel"].create(
            {"name": "Two of us", "channel_type": "group"}
        )
        cls.message = cls.channel.message_post(body=MARK, message_type="comment")
        cls.attachment = cls.env["ir.attachment"].create(
            {
                "name": MARK,
                "raw": MARK.encode(),
                "res_model": "ir.config_parameter",
                "res_id": cls.parameter.id,
            }
        )
        cls.delivery = cls.endpoint.queue_delivery({"a": 1}, record=cls.partner)
        cls.their_delivery = cls.theirs.queue_delivery({"a": MARK}, name=MARK)
        # Code may send what its user may not read.
        cls.bound_by_code = cls.endpoint.queue_delivery({"a": 1}, record=cls.parameter)
        cls.bound_by_code.write({"state": "draft", "next_attempt_at": False})
        cls.env.flush_all()

    @classmethod
    def _endpoint(cls, code, company):
        return cls.env[ENDPOINT].create(
            {
                "name": code,
                "code": f"json2-{code}",
                "company_id": company.id,
                "target_hostname": cls.receiver.url,
                "target_path": "/in",
            }
        )

    def call(self, who, model, method, ids=(), context=None, **arguments):
        """(HTTP status, what came back) of one call with the user's API key."""
        body = {"ids": list(ids), "context": context or {}, **arguments}
        if not ids:
            del body["ids"]
        response = self.url_open(
            f"/json/2/{model}/{method}",
            data=json.dumps(body),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"bearer {self.keys[who]}",
            },
        )
        self.env.invalidate_all()
        return response.status_code, response.json()

    def status(self, *args, **arguments):
        return self.call(*args, **arguments)[0]

    def creates(self, who, model, context=None, **vals):
        return self.status(who, model, "create", context=context, vals_list=[vals])

    def made(self, who, model, context=None, **vals):
        """Id of a record that the user made."""
        status, response = self.call(
            who, model, "create", context=context, vals_list=[vals]
        )
        self.assertEqual(200, status, response)
        return response[0]

    def previewed(self, who, context=None, **vals):
        """What Send Test shows, or the status of the call that was refused."""
        vals = {"endpoint_id": self.endpoint.id, **vals}
        status, response = self.call(
            who, SEND_TEST, "create", context=context, vals_list=[vals]
        )
        if status != 200:
            return status
        ids = response
        status, response = self.call(
            who, SEND_TEST, "action_preview", ids, context=context
        )
        if status != 200:
            return status
        status, [shown] = self.call(
            who, SEND_TEST, "read", ids, fields=["request_body", "outcome"]
        )
        return shown["request_body"] or shown["outcome"]

    def ruled(self, who, kind, path, record=None, model=PAYLOAD_RULE):
        """What Send Test shows of one rule, or the status of a call refused."""
        target = "target_path" if model == PAYLOAD_RULE else "header_name"
        vals = {
            "endpoint_id": self.endpoint.id,
            target: "x",
            "source_kind": kind,
            "source_expression": path,
        }
        status, response = self.call(who, model, "create", vals_list=[vals])
        if status != 200:
            return status
        about = {"record_ref": f"{record._name},{record.id}"} if record else {}
        try:
            return self.previewed("administrator", payload_json="{}", **about)
        finally:
            self.env[model].browse(response).unlink()
            self.env.flush_all()

    def assertRows(self, rows):
        """Each row: name, expected, a call. A number is compared with, a text is in
        what is seen. Nothing that is seen holds the mark."""
        for name, expected, attempt in rows:
            with self.subTest(name):
                seen = attempt()
                if isinstance(expected, str):
                    self.assertIn(expected, str(seen))
                else:
                    self.assertEqual(expected, seen)
                self.assertNotIn(MARK, json.dumps(seen, default=str))

    def test_a_delivery_is_about_what_its_user_may_read(self):
        """A record that a client names on a delivery must be readable to its user.

        Else an administrator of webhooks reads the database's secret, invoices and
        other companies' records with a rule and Send Test.
        """
        ours, param = {"endpoint_id": self.endpoint.id}, self.parameter
        secret = {"res_model": "ir.config_parameter", "res_id": param.id}
        partner = {"res_model": "res.partner", "res_id": self.partner.id}
        their = {"res_model": "res.partner", "res_id": self.their_partner.id}
        as_default = {f"default_{name}": value for name, value in secret.items()}
        admin, draft = "administrator", self.made("administrator", DELIVERY, **ours)
        free = self.made("administrator", DELIVERY, **ours, **partner)
        by_code = self.bound_by_code.id
        second = self._endpoint("second", self.env.company)
        self.env.flush_all()
        write = {"ids": [draft]}
        self.assertRows(
            [
                (who, REFUSED, lambda who=who: self.creates(who, DELIVERY, **ours))
                for who in ("portal", "internal", "operator", "other administrator")
            ]
            + [
                (
                    f"create {vals}",
                    expected,
                    lambda v=vals: self.creates(admin, DELIVERY, **ours, **v),
                )
                for vals, expected in (
                    (partner, 200),
                    (secret, REFUSED),
                    (their, REFUSED),
                    (
                        {"res_model": "ir.mail_server", "res_id": self.mail_server.id},
                        REFUSED,
                    ),
                    ({"res_model": "mail.message", "res_id": self.message.id}, REFUSED),
                    (
                        {"res_model": "discuss.channel", "res_id": self.channel.id},
                        REFUSED,
                    ),
                    (
                        {"res_model": "ir.attachment", "res_id": self.attachment.id},
                        REFUSED,
                    ),
                    ({"res_model": "res.company", "res_id": self.other.id}, REFUSED),
                    (
                        {"res_model": DELIVERY, "res_id": self.their_delivery.id},
                        REFUSED,
                    ),
                    ({"res_model": "no.such.model", "res_id": 1}, REFUSED),
                    ({"res_model": "res.partner", "res_id": 2**31 - 1}, REFUSED),
                    ({"res_id": param.id}, REFUSED),
                    ({"endpoint_id": self.theirs.id}, REFUSED),
                )
                if "endpoint_id" not in vals
            ]
            + [
                (
                    "another company's endpoint",
                    REFUSED,
                    lambda: self.creates(admin, DELIVERY, endpoint_id=self.theirs.id),
                ),
                (
                    "default keys",
                    REFUSED,
                    lambda: self.creates(admin, DELIVERY, as_default, **ours),
                ),
                (
                    "half by default key",
                    REFUSED,
                    lambda: self.creates(
                        admin,
                        DELIVERY,
                        {"default_res_model": secret["res_model"]},
                        **ours,
                        res_id=param.id,
                    ),
                ),
                ("a user's own default", REFUSED, self._by_user_default),
                (
                    "write",
                    REFUSED,
                    lambda: self.status(admin, DELIVERY, "write", **write, vals=secret),
                ),
                (
                    "write the model",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[free],
                        vals={"res_model": "ir.config_parameter"},
                    ),
                ),
                (
                    "write the id",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[free],
                        vals={"res_id": self.their_partner.id},
                    ),
                ),
                (
                    "web_save",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "web_save",
                        **write,
                        vals=secret,
                        specification={},
                    ),
                ),
                (
                    "write what may be read",
                    200,
                    lambda: self.status(
                        admin, DELIVERY, "write", **write, vals=partner
                    ),
                ),
                (
                    "through the endpoint",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        ENDPOINT,
                        "write",
                        ids=[self.endpoint.id],
                        vals={"outbound_delivery_ids": [[0, 0, secret]]},
                    ),
                ),
                ("import", REFUSED, self._imported),
                (
                    "name_create",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "name_create",
                        context={**as_default, "default_endpoint_id": self.endpoint.id},
                        name="x",
                    ),
                ),
                (
                    "copy",
                    REFUSED,
                    lambda: self.status(admin, DELIVERY, "copy", ids=[by_code]),
                ),
                (
                    "move to another endpoint",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[by_code],
                        vals={"endpoint_id": second.id},
                    ),
                ),
                (
                    "copy with another record",
                    REFUSED,
                    lambda: self.status(
                        admin, DELIVERY, "copy", ids=[free], default=secret
                    ),
                ),
                (
                    "operators write nothing",
                    REFUSED,
                    lambda: self.status(
                        "operator", DELIVERY, "write", **write, vals=partner
                    ),
                ),
                (
                    "their administrator",
                    REFUSED,
                    lambda: self.status(
                        "other administrator", DELIVERY, "write", **write, vals=partner
                    ),
                ),
                (
                    "theirs about ours",
                    REFUSED,
                    lambda: self.creates(
                        "other administrator",
                        DELIVERY,
                        endpoint_id=self.theirs.id,
                        res_model=ENDPOINT,
                        res_id=self.endpoint.id,
                    ),
                ),
                (
                    "Settings may read it",
                    200,
                    lambda: self.creates("settings", DELIVERY, **ours, **secret),
                ),
                (
                    "replay keeps what code bound",
                    200,
                    lambda: self.status(
                        "operator",
                        DELIVERY,
                        "action_create_replay_delivery",
                        ids=[by_code],
                        context=as_default,
                    ),
                ),
                (
                    "queueing isn't for clients",
                    REFUSED,
                    lambda: self.status(
                        admin, ENDPOINT, "queue_delivery", ids=[self.endpoint.id]
                    ),
                ),
            ]
        )
        drafts = self.env[DELIVERY].search([("create_uid", "=", self.users[admin].id)])
        self.assertEqual({"res.partner"}, set(drafts.mapped("res_model")))

    def _by_user_default(self):
        admin, defaults = self.users["administrator"], self.env["ir.default"]
        defaults.set(DELIVERY, "res_model", "ir.config_parameter", user_id=admin.id)
        defaults.set(DELIVERY, "res_id", self.parameter.id, user_id=admin.id)
        self.env.flush_all()
        try:
            seen = self.previewed("administrator", payload_json="{}")
            self.assertEqual("{}", seen)
            return self.creates("administrator", DELIVERY, endpoint_id=self.endpoint.id)
        finally:
            defaults.search([("user_id", "=", admin.id)]).unlink()
            self.env.flush_all()

    def _imported(self):
        before = self.env[DELIVERY].search_count([])
        status, response = self.call(
            "administrator",
            DELIVERY,
            "load",
            fields=["name", "endpoint_id/.id", "res_model", "res_id"],
            data=[["x", self.endpoint.id, "ir.config_parameter", self.parameter.id]],
        )
        self.assertEqual(before, self.env[DELIVERY].search_count([]))
        if status == 200:
            self.assertFalse(response["ids"])
            return REFUSED
        return status

    def test_send_test_reads_with_its_users_rights(self):
        """Send Test shows nothing of a record that its user may not read."""
        admin, parameter = "administrator", self.parameter
        reads = {
            "endpoint_id": self.endpoint.id,
            "target_path": "x",
            "source_kind": "record_field",
        }
        self.env[PAYLOAD_RULE].create(reads | {"source_expression": "display_name"})
        self.env.flush_all()
        line = {"key_name": "k", "source_kind": "company_field"}
        about_nothing = "has no record"
        defaults = {
            "default_res_model": parameter._name,
            "default_res_id": parameter.id,
        }
        self.assertRows(
            [
                (f"{who} has no dialog", REFUSED, lambda who=who: self.previewed(who))
                for who in ("portal", "internal", "operator", "other administrator")
            ]
            + [
                (
                    "their own partner",
                    '{"x": "Ada"}',
                    lambda: self.previewed(
                        admin,
                        payload_json="{}",
                        record_ref=f"res.partner,{self.partner.id}",
                    ),
                ),
                (
                    "another company's partner",
                    REFUSED,
                    lambda: self.previewed(
                        admin, record_ref=f"res.partner,{self.their_partner.id}"
                    ),
                ),
                (
                    "a past delivery of code",
                    REFUSED,
                    lambda: self.previewed(
                        admin, source_delivery_id=self.bound_by_code.id
                    ),
                ),
                (
                    "another company's delivery",
                    REFUSED,
                    lambda: self.previewed(
                        admin, source_delivery_id=self.their_delivery.id
                    ),
                ),
                (
                    "it as the test's own",
                    REFUSED,
                    lambda: self.previewed(admin, delivery_id=self.their_delivery.id),
                ),
                (
                    "default keys of the delivery",
                    about_nothing,
                    lambda: self.previewed(admin, defaults),
                ),
                (
                    "a default of the dialog",
                    REFUSED,
                    lambda: self.previewed(
                        admin, {"default_source_delivery_id": self.their_delivery.id}
                    ),
                ),
                (
                    "a message ID",
                    REFUSED,
                    lambda: self.previewed(admin, message_uid="msg_1"),
                ),
                (
                    "a recorded response",
                    REFUSED,
                    lambda: self.previewed(admin, step="response"),
                ),
                (
                    "a line over access rights",
                    INVALID,
                    lambda: self.previewed(
                        admin,
                        line_ids=[
                            [
                                0,
                                0,
                                line | {"source_expression": MODEL_ACCESS},
                            ]
                        ],
                    ),
                ),
                (
                    "form: default endpoint",
                    REFUSED,
                    lambda: self._onchange(
                        SEND_TEST, {"default_endpoint_id": self.theirs.id}
                    ),
                ),
                (
                    "form: default delivery",
                    REFUSED,
                    lambda: self._onchange(
                        SEND_TEST, {"default_delivery_id": self.their_delivery.id}
                    ),
                ),
                (
                    "form: their delivery",
                    REFUSED,
                    lambda: self._onchange(
                        SEND_TEST, delivery_id=self.their_delivery.id
                    ),
                ),
                (
                    "form: start from theirs",
                    REFUSED,
                    lambda: self._onchange(
                        SEND_TEST,
                        ["source_delivery_id"],
                        source_delivery_id=self.their_delivery.id,
                    ),
                ),
                (
                    "form: delivery of their endpoint",
                    REFUSED,
                    lambda: self._onchange(DELIVERY, endpoint_id=self.theirs.id),
                ),
                (
                    "form: recover theirs",
                    REFUSED,
                    lambda: self._onchange(
                        RECOVER, {"default_endpoint_id": self.theirs.id}
                    ),
                ),
                (
                    "recover theirs",
                    REFUSED,
                    lambda: self.creates(admin, RECOVER, endpoint_id=self.theirs.id),
                ),
                (
                    "their secret",
                    REFUSED,
                    lambda: self.creates(admin, SECRET, endpoint_id=self.theirs.id),
                ),
            ]
        )

    def _onchange(self, model, *given, **values):
        """A form that is being filled in: computes fields for any values."""
        context = given[0] if given and isinstance(given[0], dict) else {}
        names = given[0] if given and isinstance(given[0], list) else []
        shown = ("response_body", "status_message", "endpoint_id", "delivery_id")
        if model == DELIVERY:
            shown = ("target_url", "http_method", "handler_id", "timeout_seconds")
        elif model == RECOVER:
            shown = ("summary", "delivery_count", "endpoint_id")
        status, response = self.call(
            "administrator",
            model,
            "onchange",
            context=context,
            values=values,
            field_names=names,
            fields_spec={
                name: {"fields": {"display_name": {}}} if name.endswith("_id") else {}
                for name in shown
            },
        )
        return status if status != 200 else response

    def test_a_path_reads_what_who_saved_it_may_read(self):
        """A path over relations stays within the rights of the user who saved it.

        Else a rule walks from company or partner to users, conversations and other
        companies, since requests are built as superuser.
        """
        self.partner.child_ids = self.env["res.partner"].create(
            {"name": MARK, "ref": "B-1", "company_id": self.other.id}
        )
        member = self.users["internal"].partner_id
        self.channel.add_members(member.ids)
        self.env.flush_all()
        admin, partner = "administrator", self.partner
        self.assertRows(
            [
                (
                    f"{who} saves no rule",
                    REFUSED,
                    lambda who=who: self.ruled(who, "company_field", "name"),
                )
                for who in ("portal", "internal", "operator", "other administrator")
            ]
            + [
                (
                    "company",
                    '{"x": "',
                    lambda: self.ruled(admin, "company_field", "currency_id.name"),
                ),
                (
                    "partner",
                    '{"x": "A-1"}',
                    lambda: self.ruled(admin, "partner_field", "ref", partner),
                ),
                (
                    "record",
                    '{"x": "Ada"}',
                    lambda: self.ruled(admin, "record_field", "name", partner),
                ),
                (
                    "password",
                    '{"x": null}',
                    lambda: self.ruled(
                        admin, "company_field", "partner_id.user_ids.password"
                    ),
                ),
                (
                    "as a header",
                    INVALID,
                    lambda: self.ruled(
                        admin,
                        "delivery_field",
                        "create_uid.group_ids.rule_groups.name",
                        model=HEADER_RULE,
                    ),
                ),
                (
                    "another's API keys",
                    "may not read the record",
                    lambda: self.ruled(
                        admin, "record_field", "user_ids.api_key_ids.name", member
                    ),
                ),
                (
                    "access rights",
                    INVALID,
                    lambda: self.ruled(
                        admin,
                        "delivery_field",
                        "create_uid.group_ids.model_access.name",
                    ),
                ),
                (
                    "its endpoint's token",
                    INVALID,
                    lambda: self.ruled(
                        admin, "delivery_field", "endpoint_id.auth_secret"
                    ),
                ),
                (
                    "conversations",
                    "may not read the record",
                    lambda: self.ruled(
                        admin,
                        "record_field",
                        "channel_ids.*.message_ids.*.body",
                        member,
                    ),
                ),
                (
                    "another company's contact",
                    "may not read the record",
                    lambda: self.ruled(
                        admin, "record_field", "child_ids.*.name", partner
                    ),
                ),
                (
                    "by another kind",
                    "may not read the record",
                    lambda: self.ruled(
                        admin, "partner_field", "child_ids.*.name", partner
                    ),
                ),
                (
                    "a model without access",
                    "may not read model",
                    lambda: self.ruled(
                        admin,
                        "record_field",
                        "create_uid.group_ids.model_access.*.name",
                        partner,
                    ),
                ),
                (
                    "what Settings saved",
                    '{"x": ["B-1"]}',
                    lambda: self.ruled(
                        "settings", "record_field", "child_ids.*.ref", partner
                    ),
                ),
            ]
        )

    def test_the_engines_columns_are_not_for_clients(self):
        """State, message ID and whatever the engine records can't be set by RPC.

        Else an administrator makes a delivery done that was never sent, or sends two
        under one message ID.
        """
        admin, ours = "administrator", {"endpoint_id": self.endpoint.id}
        draft = self.made(admin, DELIVERY, **ours)
        queued = self.delivery.id
        columns = {
            "state": "done",
            "message_uid": "msg_0",
            "failure_reason": "dns",
            "queued_at": "2026-01-01 00:00:00",
            "processed_at": "2026-01-01 00:00:00",
            "next_attempt_at": "2026-01-01 00:00:00",
            "retry_number": 3,
            "response_status_code": 200,
            "response_headers_json": "{}",
            "response_body": "ok",
            "processing_note": "n",
            "processing_error": "e",
            "replayed_from_delivery_id": queued,
            "replay_count": 2,
            "attempt_count": 2,
            "job_uuid": "u",
            "lane_slot": 1,
            "queue_number": 1,
            "ordering_group": "*",
            "interruption_count": 1,
            "server_action_id": self._action().id,
            "needs_build": True,
            "build_tries": 1,
            "company_id": self.other.id,
            "queue_to_done_seconds": 1.5,
            "end_to_end_seconds": 1.5,
        }
        before = self._columns(draft)
        self.assertRows(
            [
                (
                    f"write {name}",
                    REFUSED,
                    lambda name=name, value=value: self.status(
                        admin, DELIVERY, "write", ids=[draft], vals={name: value}
                    ),
                )
                for name, value in columns.items()
            ]
            + [
                (
                    f"create {name}",
                    REFUSED,
                    lambda name=name, value=value: self.creates(
                        admin, DELIVERY, **ours, **{name: value}
                    ),
                )
                for name, value in columns.items()
            ]
            + [
                ("import", REFUSED, self._state_imported),
                (
                    "attempts",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[draft],
                        vals={
                            "attempt_ids": [[0, 0, {"attempt_number": 1, "name": "x"}]]
                        },
                    ),
                ),
                (
                    "through the endpoint",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        ENDPOINT,
                        "write",
                        ids=[self.endpoint.id],
                        vals={"outbound_delivery_ids": [[1, draft, {"state": "done"}]]},
                    ),
                ),
                (
                    "through a replay",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[draft],
                        vals={"replay_delivery_ids": [[4, queued]]},
                    ),
                ),
                (
                    "another endpoint, queued",
                    REFUSED,
                    lambda: self.status(
                        admin, DELIVERY, "write", ids=[queued], vals=ours
                    ),
                ),
                (
                    "another key, queued",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[queued],
                        vals={"ordering_key": "k"},
                    ),
                ),
                (
                    "another key, draft",
                    200,
                    lambda: self.status(
                        admin,
                        DELIVERY,
                        "write",
                        ids=[draft],
                        vals={"ordering_key": "k"},
                    ),
                ),
                (
                    "health",
                    REFUSED,
                    lambda: self.status(
                        admin,
                        HEALTH,
                        "write",
                        ids=self.endpoint.health_ids.ids,
                        vals={"slot": 9},
                    ),
                ),
            ]
        )
        self.assertEqual(before, self._columns(draft))

    def _action(self):
        action = self.env["ir.actions.server"].create(
            {
                "name": "Queue",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
            }
        )
        self.env.flush_all()
        return action

    def _columns(self, delivery_id):
        self.env.invalidate_all()
        names = ("state", "message_uid", "queued_at", "attempt_count", "job_uuid")
        return self.env[DELIVERY].browse(delivery_id).read(names)

    def _state_imported(self):
        status, response = self.call(
            "administrator",
            DELIVERY,
            "load",
            fields=["name", "endpoint_id/.id", "state"],
            data=[["x", self.endpoint.id, "Done"]],
        )
        return REFUSED if status == 200 and not response["ids"] else status

    def test_default_keys_set_no_column_of_the_engine(self):
        """Default keys of a context don't reach what is made from it: draft, replay,
        copy and test."""
        done = {
            "default_state": "done",
            "default_message_uid": "msg_0",
            "default_processing_note": "forged",
            "default_queue_number": 1,
            "default_needs_build": True,
            "default_server_action_id": self._action().id,
        }
        made = self.made("administrator", DELIVERY, done, endpoint_id=self.endpoint.id)
        status, copied = self.call(
            "administrator", DELIVERY, "copy", ids=[made], context=done
        )
        self.call(
            "operator",
            DELIVERY,
            "action_create_replay_delivery",
            ids=[made],
            context=done,
        )
        self.previewed("administrator", done)

        replay = self.env[DELIVERY].browse(made).replay_delivery_ids
        drafts = self.env[DELIVERY].browse([made, *copied]) | replay
        self.assertEqual((200, 3), (status, len(drafts)))
        self.assertEqual({"draft"}, set(drafts.mapped("state")))
        self.assertEqual({False}, set(drafts.mapped("processing_note")))
        self.assertEqual({0}, set(drafts.mapped("queue_number")))
        # What an action builds is read as superuser.
        self.assertEqual({False}, set(drafts.mapped("needs_build")))
        self.assertFalse(drafts.server_action_id)
        self.assertEqual(3, len(set(drafts.mapped("message_uid")) - {"msg_0"}))
