# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action: what changed, watched fields, deletion."""

import json

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.models.action_queue import compile_action

from .action_case import ServerActionCase


class Rollback(Exception):
    pass


class ChangesCase(ServerActionCase):
    """Automation rules on contacts, with actions that know what changed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("base.automation")

    def watching(self, *names, **values):
        """An action that sends the name, and watches these fields."""
        fields = [self.env["ir.model.fields"]._get("res.partner", n) for n in names]
        values = {"bwt_webhook_add_changes": True, **values}
        return self.action(
            "name",
            bwt_webhook_watched_field_ids=[Command.set([f.id for f in fields])],
            **values,
        )

    def save(self, record=None, **values):
        (record or self.partner).write(values)
        self.env.flush_all()

    def sent_payloads(self, record=None):
        found = self.queued(record or self.partner)
        return [json.loads(each.payload_json) for each in found]

    def sent_changes(self, record=None):
        return [each["changes"] for each in self.sent_payloads(record)]


# Automation rules hang themselves on models when a registry is complete.
@tagged("post_install", "-at_install")
class TestWatchedFields(ChangesCase):
    """By `create`, as where another addon hangs on it."""

    plain_insert = False

    def setUp(self):
        super().setUp()
        foreign = not self.plain_insert
        endpoints = type(self.endpoint)
        self.patch(endpoints, "_has_foreign_hooks", lambda self: foreign)
        self.partner.write({"name": "One", "ref": "A", "comment": False})
        self.env.flush_all()

    def test_the_same_value_is_no_change(self):
        """Writing what is there already queues nothing, as does another field."""
        self.rule(self.watching("ref"))

        self.save(ref="A")
        self.save(name="Two")
        self.assertFalse(self.queued(self.partner))
        self.save(ref="B", name="Three")

        [payload] = self.sent_payloads()
        self.assertEqual({"ref": {"from": "A", "to": "B"}}, payload["changes"])
        self.assertEqual("Three", payload["name"])

    def test_the_first_old_and_the_last_new_value(self):
        """Several firings of a transaction are one change for the receiver."""
        self.rule(self.watching("name", "ref"))

        self.save(name="Two")
        self.save(name="Three", ref="B")
        self.save(name="Four")

        self.assertEqual(
            [{"name": {"from": "One", "to": "Four"}, "ref": {"from": "A", "to": "B"}}],
            self.sent_changes(),
        )

    def test_no_net_change_is_no_delivery(self):
        """What a later firing takes back is not sent; a further change is again."""
        self.rule(self.watching("ref"))

        self.save(ref="B")
        self.assertEqual(1, len(self.queued(self.partner)))
        self.save(ref="A")
        self.assertFalse(self.queued(self.partner))
        self.save(ref="C")

        self.assertEqual([{"ref": {"from": "A", "to": "C"}}], self.sent_changes())

    def test_a_field_that_is_not_watched_is_current(self):
        """A later firing without a watched change still updates the payload."""
        self.rule(self.watching("ref"))

        self.save(ref="B")
        self.save(name="Two")

        self.assertEqual(["Two"], self.sent_names(self.partner))
        self.assertEqual([{"ref": {"from": "A", "to": "B"}}], self.sent_changes())

    def test_a_savepoint_restores_the_old_values(self):
        """What was rolled back left no old value behind, and no gap."""
        self.rule(self.watching("name", "ref"))
        self.save(ref="B")
        with self.assertRaises(Rollback), self.env.cr.savepoint():
            self.save(name="Undone", ref="A")
            self.save(name="One")
            self.assertFalse(self.queued(self.partner))
            raise Rollback
        self.env.invalidate_all(flush=False)

        self.save(ref="C")

        self.assertEqual([{"ref": {"from": "A", "to": "C"}}], self.sent_changes())

    def test_what_was_sent_is_not_removed(self):
        """A delivery that was sent stays, and the change back is another."""
        self.rule(self.watching("ref"))
        self.save(ref="B")
        self.queued(self.partner).process_delivery()

        self.save(ref="A")

        self.assertEqual(
            [{"ref": {"from": "A", "to": "B"}}, {"ref": {"from": "B", "to": "A"}}],
            self.sent_changes(),
        )

    def test_each_time_sends_each_change(self):
        """With Each Time every firing has its own old value."""
        self.rule(self.watching("ref", bwt_webhook_each_time=True))

        self.save(ref="B")
        self.save(ref="A")

        self.assertEqual(
            [{"ref": {"from": "A", "to": "B"}}, {"ref": {"from": "B", "to": "A"}}],
            self.sent_changes(),
        )

    def test_relations_are_ids_added_and_removed(self):
        """Of tags, the receiver gets the difference; of a parent, both ids."""
        red, blue = self.env["res.partner.category"].create(
            [{"name": "Red"}, {"name": "Blue"}]
        )
        self.partner.category_id = red
        self.env.flush_all()
        self.rule(self.watching("category_id", "parent_id"))

        self.save(category_id=[Command.set(blue.ids)], parent_id=self.company.id)

        self.assertEqual(
            [
                {
                    "category_id": {"added": blue.ids, "removed": red.ids},
                    "parent_id": {"from": None, "to": self.company.id},
                }
            ],
            self.sent_changes(),
        )

    def test_a_new_record_is_sent(self):
        """It has no old value, also if it is written again in its transaction."""
        self.rule(self.watching("name", "ref"))
        partner = self.env["res.partner"].create({"name": "New"})
        self.env.flush_all()
        self.save(partner, ref="B")

        self.assertEqual(
            [{"name": {"from": None, "to": "New"}, "ref": {"from": None, "to": "B"}}],
            self.sent_changes(partner),
        )

    def test_all_saved_fields_without_watched_ones(self):
        """Without watched fields, each field that got another value is listed."""
        self.rule(self.watching())

        self.save(ref="A")
        self.assertFalse(self.queued(self.partner))
        self.save(ref="B", name="Two")

        [changes] = self.sent_changes()
        self.assertEqual({"from": "A", "to": "B"}, changes["ref"])
        self.assertEqual({"from": "One", "to": "Two"}, changes["name"])

    def test_a_computed_field_is_watched(self):
        """A stored field that follows from others has an old value, too."""
        self.rule(self.watching("complete_name"))

        self.save(ref="B")
        self.assertFalse(self.queued(self.partner))
        self.save(name="Two")

        self.assertEqual(
            [{"complete_name": {"from": "One", "to": "Two"}}], self.sent_changes()
        )

    def test_an_action_that_a_rule_runs_on_other_records(self):
        """Old values of a contact are not taken for those of another record."""
        action = self.watching("ref")
        other = self.company.child_ids[0]
        stranger = self.env["res.partner.category"].create({"name": "Red"})
        context = {
            "old_values": {other.id: {"ref": other.ref}},
            "__action_done": {"a rule": stranger.browse(other.id)},
        }

        [delivery] = self.run_on(action.with_context(**context), other)

        self.assertIsNone(json.loads(delivery.payload_json)["changes"])

    def test_a_button_knows_no_change(self):
        """A run by hand sends the record, with null for what changed."""
        action = self.watching("ref")

        [delivery] = self.run_on(action, self.partner)

        self.assertIsNone(json.loads(delivery.payload_json)["changes"])

    def test_the_path_of_the_changes(self):
        """They may be written anywhere in the payload."""
        self.rule(self.watching("ref", bwt_webhook_changes_path="meta.diff"))

        self.save(ref="B")

        [payload] = self.sent_payloads()
        self.assertEqual({"diff": {"ref": {"from": "A", "to": "B"}}}, payload["meta"])

    def test_an_archived_endpoint_counts_changes_only(self):
        """A save without a change would not have been sent, so it isn't counted."""
        self.rule(self.watching("ref"))
        self.endpoint.state = "archived"

        self.save(ref="A")
        self.assertEqual(0, self.endpoint.skipped_count)
        self.save(ref="B")
        self.endpoint.invalidate_recordset()

        self.assertEqual(1, self.endpoint.skipped_count)

    def test_drafts_have_changes_too(self):
        """An endpoint in draft stores one draft, with the first old value."""
        self.rule(self.watching("ref"))
        self.endpoint.state = "draft"

        self.save(ref="B")
        self.save(ref="C")

        self.assertEqual(["draft"], self.queued(self.partner).mapped("state"))
        self.assertEqual([{"ref": {"from": "A", "to": "C"}}], self.sent_changes())

    def test_what_was_not_built_keeps_the_old_values(self):
        """Queue builds it again with the values before the change."""
        action = self.watching("ref")
        action.bwt_webhook_field_ids = [
            Command.create({"usage": "field", "source_expression": "email_formatted"})
        ]
        self.rule(action)
        self.fail_to_compute(lambda partner: partner.ref == "B")
        self.save(ref="B")
        delivery = self.queued(self.partner)
        self.assertEqual("error", delivery.state)
        self.env.cr.execute(
            "UPDATE res_partner SET ref = 'C' WHERE id = %s", [self.partner.id]
        )
        self.env.invalidate_all()

        delivery.action_queue_delivery()

        self.assertEqual("queued", delivery.state)
        self.assertEqual([{"ref": {"from": "A", "to": "C"}}], self.sent_changes())


@tagged("post_install", "-at_install")
class TestWatchedFieldsByPlainInsert(TestWatchedFields):
    """By SQL, as where no other addon hangs on `create`."""

    plain_insert = True


@tagged("post_install", "-at_install")
class TestOldField(ChangesCase):
    def by_rules(self, *lines, **values):
        return self.action(
            bwt_webhook_payload_mode="rules",
            bwt_webhook_rule_ids=[
                Command.create({"usage": "payload", **line}) for line in lines
            ],
            **values,
        )

    def old(self, name, target="old", **values):
        kind = {"source_kind": "old_field", "source_expression": name}
        return {"target": target, **kind, **values}

    def test_the_old_value_in_a_payload_rule(self):
        """It is formatted as the current one would be, and may be a context line."""
        self.partner.write({"name": "One", "color": 3, "ref": False})
        self.env.flush_all()
        action = self.by_rules(
            self.old("name", "old.name", value_format="upper"),
            self.old("color", "old.color", value_map="3 = three"),
            self.old("ref", "old.ref", if_empty="blank"),
            bwt_webhook_context_ids=[
                Command.create({"usage": "context", **self.old("name", "key")})
            ],
        )
        self.rule(action)

        self.save(name="Two", color=4)

        delivery = self.queued(self.partner)
        self.assertEqual(
            {"old": {"name": "ONE", "color": "three", "ref": ""}},
            json.loads(delivery.payload_json),
        )
        self.assertEqual({"key": "One"}, delivery._get_context_values())

    def test_without_a_change_it_is_the_current_value(self):
        """A run by hand has no old values; nothing is lost by sending the current."""
        [payload] = self.payloads(self.by_rules(self.old("name")), self.partner)

        self.assertEqual({"old": self.partner.name}, payload)

    def refused(self, pattern, make, *args, **values):
        with self.assertRaisesRegex(ValidationError, pattern):
            make(*args, **values)

    def test_what_can_not_be_known_is_refused_when_saved(self):
        """The message says which field, and what to choose instead."""
        for name, pattern in (
            ("parent_id.name", "field of the record itself"),
            ("email_formatted", "isn't stored"),
            ("nonsense", "has no field"),
            ("signup_type", "limited to groups"),
        ):
            if name == "signup_type" and name not in self.partner._fields:
                continue
            with self.subTest(name):
                self.refused(pattern, self.by_rules, self.old(name))
        named = self.old("parent_id", value_format="name")
        self.refused("only the ID", self.by_rules, named)

    def test_watched_fields_and_path_are_checked_when_saved(self):
        """An action that could never tell a change is refused."""
        self.refused("isn't stored", self.watching, "email_formatted")
        values = {"bwt_webhook_changes_path": "lines.*.changes"}
        self.refused(r"contains \*", self.watching, "name", **values)

    def test_the_preview_shows_the_shape(self):
        """The form shows each watched field, with the value that it has."""
        action = self.watching("ref")
        self.partner.ref = "A"
        action.bwt_webhook_sample_id = self.partner.id

        shown = json.loads(action.bwt_webhook_sample)

        self.assertEqual({"ref": {"from": "A", "to": "A"}}, shown["changes"])

    def test_nothing_is_read_when_it_is_off(self):
        """An action without these settings doesn't look at old values."""
        action = self.action("name")

        self.assertFalse(action.bwt_webhook_uses_changes)
        self.assertTrue(self.by_rules(self.old("name")).bwt_webhook_uses_changes)
        self.assertTrue(self.watching("name").bwt_webhook_uses_changes)
        self.assertNotIn("changes", compile_action(action)(self.partner)[0]["payload"])


@tagged("post_install", "-at_install")
class TestDeletion(ChangesCase):
    def test_the_payload_is_that_of_the_deletion(self):
        """Values are read before the record is gone, also those of its relations."""
        partner = self.env["res.partner"].create(
            {"name": "Gone", "parent_id": self.company.id}
        )
        record_id = partner.id
        self.rule(
            self.action("name", "parent_id.name", bwt_webhook_add_changes=True),
            trigger="on_unlink",
        )

        partner.unlink()
        delivery = self.queued(partner)
        delivery.process_delivery()

        self.assertEqual("done", delivery.state, delivery.processing_error)
        sent = self.receiver.wait_for_requests(1)[-1].json()
        self.assertEqual("Gone", sent["name"])
        self.assertEqual("Lovelace Ltd", sent["parent_id"]["name"])
        self.assertEqual((record_id, None), (sent["_id"], sent["changes"]))

    def test_rules_of_the_endpoint_read_the_deleted_record(self):
        """Header and payload rules get the values that it had, with their formats."""
        self.endpoint.write(
            {
                "header_rule_ids": [
                    Command.create(
                        {
                            "header_name": "X-Name",
                            "source_kind": "literal",
                            "literal_value": "{record.name} of {partner.name}",
                        }
                    )
                ],
                "payload_rule_ids": [
                    Command.create(
                        {
                            "target_path": path,
                            "source_kind": "record_field",
                            "source_expression": name,
                            **values,
                        }
                    )
                    for path, name, values in (
                        ("upper", "name", {"value_format": "upper"}),
                        ("parent", "parent_id", {"value_format": "name"}),
                        ("ref", "ref", {}),
                        (
                            "day",
                            "create_date",
                            {"value_format": "date", "format_pattern": "yyyy"},
                        ),
                    )
                ],
            }
        )
        partner = self.env["res.partner"].create(
            {"name": "Gone", "parent_id": self.company.id}
        )
        year = f"{partner.create_date.year}"
        self.rule(self.action("name"), trigger="on_unlink")

        partner.unlink()
        delivery = self.queued(partner)
        delivery.process_delivery()
        delivery.action_create_replay_delivery()
        replay = delivery.replay_delivery_ids
        replay.action_queue_delivery()
        replay.process_delivery()

        both = delivery | replay
        errors = both.mapped("processing_error")
        self.assertEqual(["done"] * 2, both.mapped("state"), errors)
        for request in self.receiver.wait_for_requests(2)[-2:]:
            sent = request.json()
            self.assertEqual(
                ("GONE", "Lovelace Ltd", None, year),
                (sent["upper"], sent["parent"], sent["ref"], sent["day"]),
            )
            self.assertEqual("Gone of Gone", request.header("X-Name"))
