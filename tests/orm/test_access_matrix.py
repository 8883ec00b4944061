# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every model, user and way to touch a record: what is allowed against what happens."""

import base64

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests.common import new_test_user

from ..constants import (
    ACTION_FILE,
    ACTION_LINE,
    ADMINISTRATOR,
    ANSWER_RULE,
    ANSWER_VALUE,
    ASSIGNMENT,
    ATTEMPT,
    CONDITION,
    DELIVERY,
    DRY_RUN,
    ENDPOINT,
    EXPORT_CONFIGURATION,
    EXTERNAL_REF,
    FORGET,
    HANDLER,
    HANDLER_RULE,
    IMPORT_CONFIGURATION,
    OPERATOR,
    RECONCILIATION,
    RECOVER,
    RUN,
    SECRET,
    SEND_TEST,
)
from .access_matrix import MATRIX, ORM_METHODS, USERS
from .trust_case import TrustCase

# State in which a button has something to do, else it would be refused for that.
STATES = {
    "action_activate": "draft",
    "action_set_draft": "active",
    "action_archive": "active",
    "action_queue_delivery": "draft",
    "action_send_now": "queued",
    "action_retry_now": "dead_letter",
    "action_reset_to_draft": "error",
    "action_cancel_delivery": "draft",
    "action_dead_letter": "error",
    "action_create_replay_delivery": "done",
    "action_start_run": "draft",
    "action_pause_run": "running",
    "action_resume_run": "paused",
    "action_cancel_run": "running",
    "action_search": "draft",
    "action_delete_content": "found",
    "action_cancel_forget": "found",
    "action_start_dry_run": "draft",
    "action_cancel_dry_run": "running",
}
ARGUMENTS = {"action_bulk": ["cancel"]}
# Of the model, not of records.
SEARCHES = {
    "action_bulk_search": [[], "cancel"],
    "action_bulk_question": [[], "cancel"],
}


class RollBack(Exception):
    """Ends a try: what it did is undone."""


class TestAccessMatrix(TrustCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        other = cls.env["res.company"].create({"name": "Other"})
        theirs = {"company_id": other.id, "company_ids": [(6, 0, other.ids)]}
        cls.users = {
            "public": cls.env.ref("base.public_user"),
            "portal": new_test_user(cls.env, "wh-portal", "base.group_portal"),
            "internal": new_test_user(cls.env, "wh-internal", "base.group_user"),
            "operator": new_test_user(cls.env, "wh-operator", OPERATOR),
            "administrator": new_test_user(cls.env, "wh-admin", ADMINISTRATOR),
            "other operator": new_test_user(cls.env, "wh-op-2", OPERATOR, **theirs),
            "other administrator": new_test_user(
                cls.env, "wh-admin-2", ADMINISTRATOR, **theirs
            ),
        }
        cls.other_company = other
        cls.values = cls._values()
        cls.records = {
            model: cls.env[model].create(values) for model, values in cls.values.items()
        }
        cls.records[RECONCILIATION].write(
            {"never_queued_count": 1, "failed_count": 1, "outdated_count": 1}
        )
        cls.records[IMPORT_CONFIGURATION].action_check()
        # What the dialog records, for the buttons that need it.
        about = cls.records[f"{DELIVERY}.context_line"].delivery_id
        cls.records[SEND_TEST].write({"step": "request", "delivery_id": about.id})
        for model in ("endpoint.health", "endpoint.token", "delivery.report"):
            model = f"bwt.webhook.outbound.{model}"
            cls.records[model] = cls.env[model].search(
                [("endpoint_id", "in", (cls.records[ENDPOINT] | cls.endpoint).ids)],
                limit=1,
            )
            cls.values[model] = {"endpoint_id": cls.endpoint.id}

    @classmethod
    def _values(cls):
        """Values to create one record of each model, of the main company."""
        handler = cls.env[HANDLER].create({"name": "Base", "code": "base"})
        rule = cls.env[HANDLER_RULE].create({"name": "Base", "handler_id": handler.id})
        delivery = cls.env[DELIVERY].create(
            {
                "endpoint_id": cls.endpoint.id,
                "res_model": "res.partner",
                "res_id": cls.partner.id,
            }
        )
        cls.env[DELIVERY].create({"endpoint_id": cls.endpoint.id}).write(
            {"state": "dead_letter", "processed_at": fields.Datetime.now()}
        )
        source = {"source_kind": "literal", "literal_value": "1"}
        company = {"company_id": cls.env.company.id}
        of_endpoint = {"endpoint_id": cls.endpoint.id, **source}
        return {
            HANDLER: {"name": "H", "code": "h", **company},
            HANDLER_RULE: {"name": "R", "handler_id": handler.id},
            CONDITION: {
                "rule_id": rule.id,
                "source_kind": "request_field",
                "source_expression": "payload.a",
                "operator": "is_set",
            },
            ASSIGNMENT: {
                "rule_id": rule.id,
                "target_scope": "payload",
                "target_expression": "a",
                **source,
            },
            ENDPOINT: {
                "name": "E",
                "code": "e",
                "target_hostname": cls.receiver.url,
                **company,
            },
            f"{ENDPOINT}.header.rule": {"header_name": "X-A", **of_endpoint},
            f"{ENDPOINT}.hour": {
                "endpoint_id": cls.endpoint.id,
                "hour": "2026-01-01 00:00:00",
            },
            ANSWER_RULE: {"endpoint_id": cls.endpoint.id, "statuses": "409"},
            # Its field can be written by those users only who may write partners.
            ANSWER_VALUE: {
                "endpoint_id": cls.endpoint.id,
                "source_kind": "status",
                "target_kind": "external_id",
            },
            EXTERNAL_REF: {
                "external_id": "R-1",
                "reference_scope": "shop",
                "res_model": "res.partner",
                "res_id": cls.partner.id,
                **company,
            },
            f"{ENDPOINT}.skip": {
                "skipped": 1,
                "last_at": "2026-01-01 00:00:00",
                "endpoint_id": cls.endpoint.id,
            },
            f"{ENDPOINT}.payload.rule": {"target_path": "a", **of_endpoint},
            DELIVERY: {
                "name": "D",
                "endpoint_id": cls.endpoint.id,
                "res_model": "res.partner",
                "res_id": cls.partner.id,
            },
            f"{DELIVERY}.context_line": {
                "delivery_id": delivery.id,
                "key_name": "k",
                **source,
            },
            ATTEMPT: {
                "name": "A",
                "delivery_id": delivery.id,
                "attempt_number": 7,
                "http_method": "post",
                "request_body_mode": "json",
                "target_url": "https://x.example.com",
                "request_headers_json": "{}",
                "payload_json": "{}",
            },
            SECRET: {"endpoint_id": cls.endpoint.id},
            SEND_TEST: {"endpoint_id": cls.endpoint.id},
            f"{SEND_TEST}.line": {
                "test_id": cls.env[SEND_TEST]
                .create({"endpoint_id": cls.endpoint.id})
                .id,
                "key_name": "k",
                **source,
            },
            RECOVER: {"endpoint_id": cls.endpoint.id},
            EXPORT_CONFIGURATION: {
                "endpoint_ids": [(6, 0, cls.endpoint.ids)],
                "company_id": cls.env.company.id,
            },
            IMPORT_CONFIGURATION: {
                "document": base64.b64encode(
                    b'{"format": "bwt_webhooks_outbound.configuration",'
                    b' "format_version": 1}'
                ),
                "company_id": cls.env.company.id,
            },
            RECONCILIATION: {"name": "R", "action_id": cls._server_action().id},
            f"{RECONCILIATION}.result": {
                "verdict": "failed",
                "reconciliation_id": cls.env[RECONCILIATION]
                .create({"action_id": cls._server_action().id})
                .id,
                "res_model": "res.partner",
                "res_id": cls.partner.id,
                **company,
            },
            FORGET: {"partner_id": cls.partner.id},
            DRY_RUN: {"limit_count": 5, "endpoint_id": cls.endpoint.id},
            f"{DRY_RUN}.result": {
                "dry_run_id": cls.env[DRY_RUN]
                .create({"endpoint_id": cls.endpoint.id})
                .id,
                "delivery_id": delivery.id,
                "verdict": "changed",
                **company,
            },
            RUN: {"name": "R", "action_id": cls._server_action().id},
            f"{RUN}.delivery": {
                "run_id": cls.env[RUN].create({"name": "Replay"}).id,
                "position": 1,
                "delivery_id": 1,
            },
            ACTION_FILE: {
                "action_id": cls._server_action().id,
                "send_as": "base64",
                "payload_path": "files.*",
            },
            ACTION_LINE: {
                "action_id": cls._server_action().id,
                "usage": "context",
                "target": "k",
                **source,
            },
        }

    @classmethod
    def _server_action(cls):
        return cls.env["ir.actions.server"].create(
            {
                "name": "Queue",
                "model_id": cls.env["ir.model"]._get("res.partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": cls.endpoint.id,
            }
        )

    def test_matrix(self):
        """What is written by hand is what the server does, called as RPC calls it."""
        seen = {
            model: {
                way: " ".join(self._try(model, way, user) for user in USERS)
                for way in ways
            }
            for model, ways in MATRIX.items()
        }

        self.assertEqual(MATRIX, seen)

    def _try(self, model, way, user):
        try:
            with self.env.cr.savepoint():
                self._call(model, way, self.users[user])
                self.env.flush_all()
                raise RollBack
        except RollBack:
            return "+"
        except AccessError:
            return "-"
        except UserError as error:
            return f"[{error}]"
        finally:
            self.env.invalidate_all(flush=False)

    def _call(self, model, way, user):
        record = self.records[model]
        if way in STATES:
            record.sudo().write({"state": STATES[way]})
            self.env.flush_all()
        if way == "action_backfill":  # it needs one; undone with the try
            self._server_action().bwt_webhook_endpoint_id = record
            self.env.flush_all()
        if (model, way) == (HANDLER, "action_compare"):
            self.endpoint.handler_id = record
            self.env.flush_all()
        self.env.invalidate_all()
        values = self.values[model]
        name = next(iter(values))
        arguments = {
            "read": [record.ids, ["display_name"]],
            "write": [record.ids, {name: values[name]}],
            "create": [[self._other_values(model)]],
            "unlink": [record.ids],
        }.get(way, [record.ids, *ARGUMENTS.get(way, [])])
        arguments = SEARCHES.get(way, arguments)
        call_kw(self.env[model].with_user(user), way, arguments, {})

    def _other_values(self, model):
        """Values that don't collide with the record that is there."""
        fresh = {"code": "fresh", "attempt_number": 8, "external_id": "R-2"}
        if model == EXTERNAL_REF:
            fresh["res_id"] = self.env.company.partner_id.id
        values = self.values[model]
        return values | {key: fresh[key] for key in fresh if key in values}

    def test_the_matrix_is_complete(self):
        """A model or button that is added must be thought about here."""
        ours = [
            model
            for model in self.env.registry.models.values()
            if model._original_module == "bwt_webhooks_outbound" and not model._abstract
        ]

        self.assertEqual(sorted(MATRIX), sorted(model._name for model in ours))
        for model in ours:
            public = _public_methods(model)
            buttons = {name for name in public if name.startswith("action_")}
            listed = {way for way in MATRIX[model._name] if way.startswith("action_")}
            self.assertEqual(listed, buttons, model._name)
            for name in public - buttons - ORM_METHODS:
                self.assertTrue(
                    getattr(getattr(model, name), "_api_private", False),
                    f"{model._name}.{name} can be called by RPC",
                )

    def test_what_moves_deliveries_is_out_of_reach(self):
        """Queueing, the lane, sending and callbacks are for code, not for clients."""
        administrator = self.users["administrator"]
        for model, method in (
            (ENDPOINT, "queue_delivery"),
            (ENDPOINT, "queue_deliveries"),
            (ENDPOINT, "run_lane"),
            (ENDPOINT, "backfill"),
            (RUN, "run_batch"),
            (FORGET, "run_forget"),
            (DRY_RUN, "run_dry_run"),
            (DELIVERY, "_gc_content"),
            (DELIVERY, "process_delivery"),
            (HANDLER, "execute_outbound"),
            (ENDPOINT, "_trust"),
            (ENDPOINT, "_generate_secret"),
            (ENDPOINT, "_oauth_token"),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                call_kw(
                    self.env[model].with_user(administrator),
                    method,
                    [self.records[model].ids],
                    {},
                )

    def test_internal_users_read_four_fields(self):
        """Who may queue sees what an endpoint is called, not where it leads."""
        endpoint = self.endpoint.with_user(self.users["internal"])

        readable = set(endpoint.fields_get())

        mixins = (
            self.env["mail.thread"]._fields | self.env["mail.activity.mixin"]._fields
        )
        self.assertEqual(
            {"name", "code", "state", "company_id", "write_date", "write_uid"}
            | {"create_date", "create_uid"},
            readable - set(mixins),
        )

    def test_a_handler_of_another_company_is_not_attached(self):
        """It would decide over, and see, what isn't its company's."""
        handler = self.env[HANDLER].create(
            {"name": "X", "code": "x", "company_id": self.other_company.id}
        )

        with self.assertRaises(UserError):
            self.endpoint.handler_id = handler


def _public_methods(model):
    """Names of the public methods that this addon defines on a model."""
    return {
        name
        for base in model.__mro__
        if base.__module__.startswith("odoo.addons.bwt_webhooks_outbound.")
        for name, value in vars(base).items()
        if callable(value) and not name.startswith("_")
    }
