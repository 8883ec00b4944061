# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo.addons.bwt_webhooks_outbound.models.field_path import compile_field_path
from odoo.addons.bwt_webhooks_outbound.services.errors import ConfigurationError

from ..constants import GROUP_ADMIN
from .request_case import RequestCase


class TestFieldPaths(RequestCase):
    def read_path(self, record, path):
        return compile_field_path(self.env, record._name, path)(record)

    def test_relations_return_ids(self):
        """A relation to several becomes a list of ids, whatever it holds."""
        tags = self.env["res.partner.category"].create([{"name": "a"}, {"name": "b"}])
        self.assertEqual([], self.read_path(self.partner, "category_id"))
        self.partner.category_id = tags[0]
        self.assertEqual(tags[0].ids, self.read_path(self.partner, "category_id"))
        self.partner.category_id = tags

        self.assertEqual(tags.ids, self.read_path(self.partner, "category_id"))
        self.assertEqual(tags.ids, self.read_path(self.partner, "category_id.*"))
        self.assertEqual(tags[1].id, self.read_path(self.partner, "category_id.1"))
        self.assertEqual("a", self.read_path(self.partner, "category_id.0.name"))
        self.assertEqual(["a", "b"], self.read_path(self.partner, "category_id.*.name"))
        self.assertIsNone(self.read_path(self.partner, "category_id.7.name"))
        with self.refused("there are 2 records", ConfigurationError):
            self.read_path(self.partner, "category_id.name")

    def test_stops_at_what_is_empty(self):
        """An empty value on the path is empty, not an error."""
        self.assertIsNone(self.read_path(self.partner, "parent_id.parent_id.name"))

    def test_methods_and_private_names_are_refused(self):
        """No path reaches a method, a dunder or a private name."""
        for path in (
            "unlink",
            "sudo",
            "env",
            "__class__",
            "_fields",
            "_table",
            "parent_id._cr",
            "parent_id.__class__",
            "name.__len__",
            "parent_id.sudo.name",
            "name.upper",
            "",
            ".",
            "name.",
            "*",
            "0.name",
            "name()",
            "parent_id name",
        ):
            with self.refused("path", ConfigurationError):
                compile_field_path(self.env, "res.partner", path)

    def test_wrong_name_names_model_field_and_matches(self):
        """The message says which model, which field, and what would fit."""
        with self.refused(
            'model res.partner has no field "emial". Did you mean .*email',
            ConfigurationError,
        ):
            compile_field_path(self.env, "res.partner", "parent_id.emial")

    def test_fields_of_other_groups_are_refused(self):
        """What the webhooks administrator may not read can't be sent either.

        Everything is read as superuser, so that a rule could otherwise send what its
        author may not see.
        """
        field = self.env["res.partner"]._fields["ref"]
        for groups, allowed in (
            ("base.group_system", False),
            ("base.group_user", True),
            ("base.group_system,base.group_user", True),
            ("!base.group_user", False),
            (".", False),
            (GROUP_ADMIN, True),
        ):
            self.patch(field, "groups", groups)
            if allowed:
                compile_field_path(self.env, "res.partner", "ref")
                continue
            with self.refused("limited to groups", ConfigurationError):
                compile_field_path(self.env, "res.partner", "ref")

    def test_secrets_of_our_own_records_are_refused(self):
        """What operators may not see stays out of what is sent: they read attempts."""
        field = self.env[self.endpoint._name]._fields["note"]
        self.patch(field, "groups", GROUP_ADMIN)
        with self.refused("limited to groups", ConfigurationError):
            compile_field_path(self.env, self.endpoint._name, "note")

    def test_checked_when_saved(self):
        """A path that can't work is refused while it is saved, where it is known."""
        for kind, path, text in (
            ("delivery_field", "nam", r"payload rule \"x\".*Did you mean name"),
            ("endpoint_field", "write", "has no field"),
            ("company_field", "partner_id.unlink", "res.partner has no field"),
            ("partner_field", "__class__", "is not a valid field name"),
            ("record_field", "_cr", "is not a valid field name"),
            ("request_field", "body.a", "doesn't start with a part of the request"),
            ("context_key", False, "the path is empty"),
        ):
            with self.refused(text):
                self.rule("x", kind, path)
        rule = self.rule("x", "delivery_field", "name")
        with self.refused("has no field"):
            rule.source_expression = "nope"

    def test_checked_again_when_run(self):
        """A record's model is known at run time only; a stored path is checked then."""
        self.rule("x", "record_field", "no_such_field")
        with self.refused(r"shop-orders.*payload rule \"x\".*res.partner has no field"):
            self.built(record=self.partner)
        rule = self.rule("y", "delivery_field", "name")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_endpoint_payload_rule "
            "SET source_expression = 'unlink' WHERE id = %s",
            [rule.id],
        )
        self.env.invalidate_all()
        self.endpoint.payload_rule_ids.filtered(lambda r: r.target_path == "x").unlink()
        with self.refused('has no field "unlink"'):
            self.built()

    def test_typing_warns(self):
        """A rule that can't work says so while it is typed."""
        rule = self.env[self.endpoint.payload_rule_ids._name].new(
            {"source_kind": "delivery_field", "source_expression": "nam"}
        )
        self.assertIn("Did you mean", rule._onchange_source()["warning"]["message"])
        rule.source_expression = "name"
        self.assertFalse(rule._onchange_source())
