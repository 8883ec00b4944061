# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whose rights limit what a path reads, and that code isn't limited."""

from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.models.build_scope import outbound_build

from ..constants import CONTEXT_LINE, DELIVERY, HANDLER, PAYLOAD_RULE
from .trust_case import TrustCase


@tagged("post_install", "-at_install")
class TestLimitedPaths(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.env["res.company"].create({"name": "Other"})
        cls.child = cls.env["res.partner"].create(
            {"name": "Bob", "parent_id": cls.partner.id, "company_id": cls.other.id}
        )
        cls.parameter = cls.env["ir.config_parameter"].search([], limit=1)

    def administrator(self, **values):
        user = self.user("administrator", **values)
        return user, self.env[PAYLOAD_RULE].with_user(user)

    def ruled(self, rules, expression, kind="record_field", **vals):
        return rules.create(
            {
                "endpoint_id": self.endpoint.id,
                "target_path": "x",
                "source_kind": kind,
                "source_expression": expression,
                **vals,
            }
        )

    def test_code_queues_what_its_user_may_not_read(self):
        """A salesperson's order is delivered though they may read nothing else of it.

        Connectors queue in the environment of who saved the order; a check of that
        user's rights there would stop business.
        """
        seller = self.user("internal")
        self.ruled(self.env[PAYLOAD_RULE], "value")
        self.assertFalse(self.parameter.with_user(seller).has_access("read"))

        delivery = self.endpoint.with_user(seller).queue_delivery(
            {"a": 1},
            [
                {
                    "key_name": "k",
                    "source_kind": "record_field",
                    "source_expression": "key",
                }
            ],
            record=self.parameter.with_user(seller),
        )

        delivery = delivery.sudo()
        self.assertEqual(
            ("ir.config_parameter", self.parameter.id),
            (delivery.res_model, delivery.res_id),
        )
        self.assertFalse(delivery.context_line_ids.limited_to_user_id)
        built = delivery._build_outbound_request()
        self.assertEqual(self.parameter.value, built.payload["x"])

    def test_operators_work_what_code_bound(self):
        """Replay, reset and retry are theirs, whatever the delivery is about."""
        operator = self.user("operator")
        delivery = self.deliver({"a": 1}, record=self.parameter)
        delivery.write({"state": "dead_letter", "next_attempt_at": False})
        theirs = delivery.with_user(operator)

        theirs.action_create_replay_delivery()
        theirs.action_reset_to_draft()
        theirs.action_queue_delivery()

        replay = delivery.replay_delivery_ids
        self.assertEqual(
            ("ir.config_parameter", self.parameter.id, "draft"),
            (replay.res_model, replay.res_id, replay.state),
        )
        self.assertNotEqual(delivery.message_uid, replay.message_uid)
        self.assertEqual("queued", delivery.state)

    def test_an_administrators_rule_reads_no_foreign_record(self):
        """A rule of an administrator stops at a record that they may not read.

        Else they would attach it to what code queues and read that as superuser.
        """
        _user, rules = self.administrator()
        self.ruled(rules, "value")

        with self.refused(r"may not read (field|model|the record)"):
            self.built(record=self.parameter)

    def test_it_stops_at_another_company(self):
        """The contact of another company, found by a relation, isn't read."""
        user, rules = self.administrator()
        rule = self.ruled(rules, "child_ids.*.name")
        with self.refused(f"may not read the record .res.partner, {self.child.id}"):
            self.built(record=self.partner)

        user.company_ids += self.other

        self.assertEqual(["Bob"], self.built(record=self.partner).payload["x"])
        self.assertEqual(user, rule.limited_to_user_id)

    def test_one_check_for_a_batch(self):
        """The rights of a user are checked per batch, not per delivery."""
        _user, rules = self.administrator()
        self.ruled(rules, "country_id.code")
        country = self.env.ref("base.be")
        partners = self.env["res.partner"].create(
            [{"name": f"p{n}", "country_id": country.id} for n in range(40)]
        )
        queries = {}
        for count in (4, 4, 40):  # the first fills caches of models and rules
            deliveries = self.endpoint.queue_deliveries(
                [{"record": partner} for partner in partners[:count]]
            )
            self.env.flush_all()
            self.env.invalidate_all()
            snapshot = self.endpoint._outbound_snapshot()
            before = self.env.cr.sql_log_count
            for scope in deliveries._read_scopes(snapshot).values():
                with outbound_build(scope.delivery.env).of(snapshot, scope):
                    built = scope.delivery._build_outbound_request()
                self.assertEqual("BE", built.payload["x"])
            queries[count] = self.env.cr.sql_log_count - before

        self.assertEqual(queries[4], queries[40])

    def test_the_rights_of_who_saved_it_count(self):
        """Code and Settings administrators are not limited, others by who they are."""
        user, rules = self.administrator()
        settings = new_test_user(self.env, "l-settings", "base.group_system")
        rule = self.ruled(self.env[PAYLOAD_RULE], "name")
        theirs = rule.with_user(user)
        seen = [rule.limited_to_user_id]

        theirs.sequence = 3
        seen.append(rule.limited_to_user_id)
        theirs.source_expression = "ref"
        seen.append(rule.limited_to_user_id)
        rule.with_user(settings).source_expression = "name"
        seen.append(rule.limited_to_user_id)
        theirs.endpoint_id = self.endpoint.copy()
        seen.append(rule.limited_to_user_id)
        theirs.limited_to_user_id = False
        seen.append(rule.limited_to_user_id)

        nobody = user.browse()
        self.assertEqual([nobody, nobody, user, nobody, user, user], seen)
        forged = self.ruled(rules, "name", limited_to_user_id=settings.id)
        self.assertEqual(user, forged.limited_to_user_id)
        self.assertEqual(
            user,
            self.endpoint.with_user(user).copy().payload_rule_ids.limited_to_user_id,
        )

    def test_lines_and_conditions_are_limited_too(self):
        """A context line and a handler's condition read no more than a rule does."""
        user, _rules = self.administrator()
        draft = self.env[DELIVERY].create(
            {
                "endpoint_id": self.endpoint.id,
                "res_model": "res.partner",
                "res_id": self.partner.id,
            }
        )
        source = {
            "source_kind": "record_field",
            "source_expression": "child_ids.*.name",
        }
        line = (
            self.env[CONTEXT_LINE]
            .with_user(user)
            .create({"delivery_id": draft.id, "key_name": "k", **source})
        )
        with self.refused('context line "k".*may not read the record'):
            draft._build_outbound_request()
        line.sudo().unlink()
        handlers = self.env[HANDLER].with_user(user)
        self.endpoint.handler_id = handlers.create(
            {
                "name": "H",
                "code": "h",
                "outbound_rule_ids": [
                    Command.create(
                        {
                            "name": "R",
                            "condition_ids": [
                                Command.create(source | {"operator": "is_set"})
                            ],
                        }
                    )
                ],
            }
        )

        with self.refused("may not read the record"):
            draft._invoke_handler(draft._build_outbound_request())

    def test_a_binding_that_a_user_names(self):
        """Lines that a user writes name no record that the user may not read.

        A connector's response hook gets the record as superuser and writes on it.
        """
        self.need_test_addon("shop.backend")
        backend = self.env["shop.backend"].create({"name": "Shop", "token": "t0"})
        self.endpoint.connector_backend_ref = f"shop.backend,{backend.id}"
        user, _rules = self.administrator()
        found = {}

        for record in (self.partner, self.child):
            names = {"binding_model": record._name, "binding_id": record.id}
            by_code = self.deliver({}, names)
            by_hand = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})
            by_hand.with_user(user).context_line_ids = [
                Command.create({"key_name": key, "literal_value": value})
                for key, value in names.items()
            ]
            changed = self.deliver({}, names | {"binding_id": 0})
            line = changed.context_line_ids[-1].with_user(user)
            line.literal_value = str(record.id)
            found[record] = [
                backend.resolve_outbound_delivery_binding(each)
                for each in (by_code, by_hand, changed)
            ]

        nothing = self.partner.browse()
        self.assertEqual([self.partner] * 3, found[self.partner])
        self.assertEqual([self.child, nothing, nothing], found[self.child])

    @mute_logger("odoo.sql_db")
    def test_a_user_who_saved_a_path_is_not_deleted(self):
        """Their rules would have nobody's rights to read with: archive the user."""
        user, rules = self.administrator()
        self.ruled(rules, "name")
        self.env.flush_all()

        with self.assertRaises(IntegrityError), self.env.cr.savepoint():
            user.unlink()
            self.env.flush_all()

        user.active = False
        self.assertEqual("Ada", self.built(record=self.partner).payload["x"])

    def test_a_draft_of_a_user(self):
        """An administrator binds a draft to what they may read, by ORM as by RPC."""
        user, _rules = self.administrator()
        deliveries = self.env[DELIVERY].with_user(user)
        values = {"endpoint_id": self.endpoint.id, "res_model": "res.partner"}

        draft = deliveries.create(values | {"res_id": self.partner.id})
        with self.assertRaises(AccessError):
            deliveries.create(values | {"res_id": self.child.id})
        with self.assertRaises(AccessError):
            draft.res_id = self.child.id
        draft.action_queue_delivery()

        self.assertEqual("queued", draft.state)
        with self.refused("is not a draft, so Record ID can't be changed", AccessError):
            draft.res_id = self.partner.id
