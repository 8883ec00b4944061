# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the value of a field becomes, for every reader."""

import base64
import json
from datetime import date, datetime

from odoo import Command
from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.models.field_path import compile_field_path
from odoo.addons.bwt_webhooks_outbound.services.errors import ConfigurationError

from .action_case import ServerActionCase
from .request_case import RequestCase

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00"
    b"\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-"
    b"\xb4\x00\x00\x00\x00IEND\xaeB`\x82"
)
DEFINITION = [
    {"name": "3adf37f3258cfe40", "type": "char", "string": "Color"},
    {"name": "42", "type": "integer", "string": "Count"},
    {"name": "on", "type": "date", "string": "On"},
    {"name": "at", "type": "datetime", "string": "At"},
    {
        "name": "size",
        "type": "selection",
        "string": "Size",
        "selection": [["s", "Small"], ["l", "Large"]],
    },
    {
        "name": "marks",
        "type": "tags",
        "string": "Marks",
        "tags": [["new", "New", 1], ["hot", "Hot", 2]],
    },
    {"name": "who", "type": "many2one", "string": "Who", "comodel": "res.partner"},
    {"name": "all", "type": "many2many", "string": "All", "comodel": "res.partner"},
    {"name": "flag", "type": "boolean", "string": "Flag"},
    {"name": "note", "type": "char", "string": "Note"},
    {"name": "line", "type": "separator", "string": "Line"},
]


@tagged("post_install", "-at_install")
class TestFieldValues(RequestCase):
    def read_path(self, record, path, empty=None):
        return compile_field_path(self.env, record._name, path)(record, empty)

    def test_relation_to_several_is_always_a_list(self):
        """A list of ids of no record, of one, of two: a receiver's schema needs it.

        For one record it was a bare id.
        """
        tags = self.env["res.partner.category"].create([{"name": "a"}, {"name": "b"}])
        children = self.partner.create({"name": "Bo", "parent_id": self.partner.id})

        for given in (tags.browse(), tags[0], tags):
            self.partner.category_id = given
            self.assertEqual(given.ids, self.read_path(self.partner, "category_id"))
            self.assertEqual(
                given.ids, self.read_path(children, "parent_id.category_id")
            )
            self.assertEqual(
                [given.ids],
                self.read_path(self.partner, "child_ids.*.parent_id.category_id"),
            )
        self.assertEqual([], self.read_path(self.partner, "parent_id.category_id"))
        self.assertEqual(
            [], self.read_path(self.partner, "parent_id.category_id.*.name")
        )

    def test_without_a_value_is_null(self):
        """A field without a value, or on the way to nothing, is null or as chosen."""
        paths = (
            "parent_id",
            "parent_id.name",
            "parent_id.parent_id.active",
            "ref",
            "comment",
            "image_1920",
            "create_uid.login_date",
            "child_ids.0",
            "child_ids.0.name",
            "child_ids.7.parent_id",
            "properties.nope",
        )
        self.partner.write({"ref": False, "comment": False})
        self.env.user.sudo().log_ids.unlink()

        for path in paths:
            for empty in (None, False):
                self.assertIs(empty, self.read_path(self.partner, path, empty), path)

    def test_numbers_and_booleans_always_have_a_value(self):
        """0 and false are values, not the lack of one."""
        self.partner.active = False

        self.assertIs(False, self.read_path(self.partner, "active"))
        self.assertEqual(0, self.read_path(self.partner, "color"))
        self.assertEqual(0.0, self.read_path(self.partner, "partner_latitude"))

    def test_binary_content_is_base64(self):
        """Base64 of the content, whatever the field holds.

        Raw bytes of an attachment were decoded as if they were base64: a traceback for
        13 bytes, rubbish for 12.
        """
        self.partner.image_1920 = base64.b64encode(PIXEL)
        attachment = self.env["ir.attachment"]

        for content in (b"exactly 12 b", b"thirteen byte", b"\x00\xff", b"TEXT"):
            attachment = attachment.create({"name": "a", "raw": content})
            expected = base64.b64encode(content).decode()
            self.assertEqual(expected, self.read_path(attachment, "raw"))
            self.assertEqual(expected, self.read_path(attachment, "datas"))
        image = self.read_path(self.partner, "image_1920")
        self.assertEqual(b"\x89PNG", base64.b64decode(image)[:4])
        attachment.raw = False
        self.assertIsNone(self.read_path(attachment, "raw"))

    def test_binary_structure_is_json(self):
        """A "binary" field that computes lists or dicts returns them, paths included.

        `sale.order.tax_totals` ended in a TypeError in the user's save.
        """
        action = self.env["ir.actions.act_window"].create(
            {"name": "Contacts", "res_model": "res.partner", "view_mode": "list,form"}
        )

        views = self.read_path(action, "views")

        self.assertEqual([[False, "list"], [False, "form"]], views)
        self.assertEqual("form", self.read_path(action, "views.1.1"))

    def test_json_is_the_value(self):
        """A JSON field returns what it contains; a key of it may begin with a digit."""
        action = self.env["ir.actions.server"].create(
            {
                "name": "a",
                "state": "code",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
            }
        )

        states = self.read_path(action, "allowed_states")

        self.assertIn("code", states)
        self.assertEqual(states[0], self.read_path(action, "allowed_states.0"))

    def test_properties(self):
        """Each property as a field of its type, under any name a property may have.

        Hexadecimal names that begin with a digit, as Odoo makes them, were refused;
        a selection was its label and a date was a text.
        """
        self.env["properties.base.definition"]._get_definition_for_property_field(
            "res.partner", "properties"
        ).properties_definition = DEFINITION
        self.partner.properties = {
            "3adf37f3258cfe40": "red",
            "42": 7,
            "on": "2026-11-24",
            "at": "2026-11-24 10:00:00",
            "size": "l",
            "marks": ["hot", "new"],
            "who": self.partner.id,
            "all": [self.partner.id],
        }
        expected = {
            "3adf37f3258cfe40": "red",
            "42": 7,
            "on": date(2026, 11, 24),
            "at": datetime(2026, 11, 24, 10),
            "size": "l",
            "marks": ["hot", "new"],
            "who": self.partner.id,
            "all": [self.partner.id],
            "flag": False,
            "note": None,
        }
        self.env.flush_all()
        self.env.invalidate_all()

        found = self.read_path(self.partner, "properties")

        self.assertEqual(expected, found)
        for name, value in expected.items():
            self.assertEqual(value, self.read_path(self.partner, f"properties.{name}"))
        self.rule("at", "record_field", "properties.at")
        self.rule("hex", "record_field", "properties.3adf37f3258cfe40")
        self.assertEqual(
            {"at": "2026-11-24T10:00:00Z", "hex": "red"},
            self.built(record=self.partner).payload,
        )

    def test_reference(self):
        """Model and id of the target; null once the target was deleted."""
        action = self.env["ir.actions.act_window"].create(
            {"name": "Contacts", "res_model": "res.partner"}
        )
        menu = self.env["ir.ui.menu"].create(
            {"name": "m", "action": f"{action._name},{action.id}"}
        )

        there = self.read_path(menu, "action")
        name = self.read_path(menu, "action.name")
        gone = f"{action._name},{action.id}"
        action.unlink()
        self.env.invalidate_all()

        self.assertEqual(gone, there)
        self.assertEqual("Contacts", name)
        self.assertIsNone(self.read_path(menu, "action"))
        self.assertIsNone(self.read_path(menu, "action.name"))

    def test_a_compute_that_raises_is_reported(self):
        """The path, the field, the record and the reason; others of the batch continue.

        A compute like that of `account.root` ended the save of the action's user.
        """
        healthy = self.partner.create({"name": "Healthy"})

        def compute(partners):
            for partner in partners:
                if partner.name == "Ada":
                    raise KeyError("no such plan")
                partner.display_name = partner.name

        self.patch(type(self.partner), "_compute_display_name", compute)
        both = (self.partner | healthy).with_context(other_cache=True)

        with self.refused(
            r'path "display_name": field "display_name" of res.partner can\'t be read '
            rf"\(record {self.partner.id}\). KeyError: 'no such plan'\.",
            ConfigurationError,
        ):
            self.read_path(both[0], "display_name")
        self.assertEqual("Healthy", self.read_path(both[1], "display_name"))

    def test_empty_value_of_the_endpoint(self):
        """Rules and context lines send null, or false where the endpoint says so."""
        self.partner.ref = False
        self.rule("ref", "record_field", "ref")
        self.rule("parent", "record_field", "parent_id.name")
        self.rule("line", "context_key", "ref")
        self.rule("tags", "record_field", "category_id")
        self.rule("given", "context_key", "given")
        lines = [
            {
                "key_name": "ref",
                "source_kind": "record_field",
                "source_expression": "ref",
            },
            {"key_name": "given", "literal_value": "null"},
        ]
        sent = {}

        for empty in ("null", "false"):
            self.endpoint.empty_value = empty
            sent[empty] = self.built({}, lines, record=self.partner).payload

        nothing = {"ref": None, "parent": None, "line": None, "tags": [], "given": None}
        self.assertEqual(nothing, sent["null"])
        self.assertEqual(
            nothing | {"ref": False, "parent": False, "line": False}, sent["false"]
        )

    def test_an_empty_relation_is_not_a_path(self):
        """A token whose value is an empty relation or a list stops the delivery.

        `PUT /customers/%5B%5D` was sent.
        """
        self.endpoint.target_path = "/customers/{id}"

        def line(path):
            return [
                {
                    "key_name": "id",
                    "source_kind": "record_field",
                    "source_expression": path,
                }
            ]

        for path in ("parent_id", "category_id", "child_ids", "properties", "active"):
            with self.refused(r"path token \{id\} has no value"):
                self.built({}, line(path), record=self.partner)
        url = self.built({}, line("id"), record=self.partner).target_url
        self.assertTrue(url.endswith(f"/customers/{self.partner.id}"))


@tagged("post_install", "-at_install")
class TestActionValues(ServerActionCase):
    def test_fields_of_the_record_have_one_shape(self):
        """The payload of an action has the same values as rules: lists, null, JSON."""
        tag = self.env["res.partner.category"].create({"name": "a"})
        self.partner.write({"category_id": [Command.set(tag.ids)], "ref": False})
        action = self.action(
            *("category_id", "child_ids", "parent_id", "parent_id.ref", "ref"),
            "active",
            bwt_webhook_each_time=True,
        )
        expected = {
            "category_id": tag.ids,
            "child_ids": [],
            "parent_id": None,
            "ref": None,
            "active": True,
        }
        sent = {}

        for empty in ("null", "false"):
            self.endpoint.empty_value = empty
            [sent[empty]] = self.payloads(action, self.partner)

        self.assertEqual(expected, sent["null"])
        self.assertEqual(expected | {"parent_id": False, "ref": False}, sent["false"])

    def test_keys_of_properties_and_json_are_nested(self):
        """A path into a value may have digits as names; an index of records may not."""
        definitions = self.env["properties.base.definition"]
        definitions._get_definition_for_property_field(
            "res.partner", "properties"
        ).properties_definition = DEFINITION
        self.partner.properties = {"42": 7, "3adf37f3258cfe40": "red"}
        action = self.action("properties.42", "properties.3adf37f3258cfe40")

        [payload] = self.payloads(action, self.partner)

        self.assertEqual({"properties": {"42": 7, "3adf37f3258cfe40": "red"}}, payload)
        with self.refused("has the index 0"):
            self.action("child_ids.0.name")

    def test_a_line_and_a_rule_read_the_same(self):
        """Context lines and rules of an action follow the endpoint's empty value."""
        self.endpoint.empty_value = "false"
        values = {"source_kind": "record_field", "source_expression": "parent_id.name"}
        action = self.action(
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=[
                Command.create({"usage": "payload", "target": "p", **values})
            ],
            bwt_webhook_context_ids=[
                Command.create({"usage": "context", "target": "c", **values})
            ],
        )

        delivery = self.run_on(action, self.company)

        self.assertEqual({"p": False}, json.loads(delivery.payload_json))
        self.assertEqual({"c": False}, delivery._get_context_values())
