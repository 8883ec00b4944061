# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Values of responses that are written to the record of the delivery."""

from odoo.exceptions import AccessError
from odoo.tests import new_test_user
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.models.answer_store import TEXT_MAX
from odoo.addons.bwt_webhooks_outbound.models.const import ECHO

from ..constants import ADMINISTRATOR, ANSWER_VALUE, ENDPOINT
from .answer_case import AnswerCase


class TestAnswerValues(AnswerCase):
    def test_a_value_is_on_the_record(self):
        """The id of the receiver is on the record, and the delivery is plainly done."""
        self.value("ref")
        self.respond((201, {"id": "R-77"}))

        delivery = self.send()

        self.assertEqual("R-77", self.partner.ref)
        self.assertEqual("done", delivery.state)
        self.assertFalse(delivery.has_late_note)
        attempt = self.row(delivery.attempt_ids)
        self.assertEqual((None, None), (attempt["hook_try"], attempt["hook_values"]))

    def test_types_formats_and_maps(self):
        """Each value becomes what its field takes."""
        self.value("color", "n")
        self.value("active", "on")
        self.value("partner_latitude", "lat")
        self.value("type", "kind", value_map="ship = delivery")
        self.value("website", "url", value_format="lower")
        self.value("comment", "html")
        self.value("country_id", "land", value_map=f"DE = {self.env.ref('base.de').id}")
        self.respond(
            (
                200,
                {"n": "7", "on": "true", "lat": 48.5, "kind": "ship", "land": "DE"}
                | {"url": "HTTPS://X.EXAMPLE", "html": "<p>ok</p><script>x</script>"},
            )
        )

        delivery = self.send()

        self.assertFalse(delivery.has_late_note, delivery.processing_note)
        partner = self.partner
        self.assertEqual((7, 48.5), (partner.color, partner.partner_latitude))
        self.assertEqual("delivery", partner.type)
        self.assertEqual("https://x.example", partner.website)
        self.assertNotIn("script", partner.comment)
        self.assertEqual(self.env.ref("base.de"), partner.country_id)

    def test_values_that_do_not_fit(self):
        """Each is named on the delivery, in yellow; the others are stored."""
        self.value("color", "word")
        self.value("type", "word")
        self.value("country_id", "number")
        self.value("name", "list")
        self.value("ref", "word")
        self.value("website", "missing")
        self.respond((200, {"word": "w", "number": 999_999_999, "list": ["a"]}))

        delivery = self.send()

        self.assertEqual(("done", "w"), (delivery.state, self.partner.ref))
        self.assertTrue(delivery.has_late_note)
        note = delivery.processing_note
        for words in ('"color"', "a number", '"type"', "one of: ", '"country_id"'):
            self.assertIn(words, note)
        for words in ("ID of a record", "single value", 'nothing at "missing"'):
            self.assertIn(words, note)
        self.assertIn('nothing at "missing"', delivery.status_message)

    def test_texts_that_are_too_long(self):
        """A receiver that responds with a megabyte doesn't fill the record."""
        self.value("comment", "text")
        self.value("ref", "text")
        for length, stored in ((TEXT_MAX, True), (TEXT_MAX + 1, False)):
            self.respond((200, {"text": "x" * length}))
            self.partner.write({"comment": False, "ref": False})
            with self.subTest(length):
                delivery = self.send()

                self.assertEqual("done", delivery.state)
                self.assertEqual(stored, bool(self.partner.ref))
                self.assertEqual(stored, bool(self.partner.comment))
                self.assertEqual(stored, not delivery.has_late_note)
        self.assertIn('"ref", which needs at most 65536 char', delivery.processing_note)

    def test_numbers_that_no_field_takes(self):
        """One bad number is named; the other values of the response are stored.

        Python's own error on it dropped all of them.
        """
        self.value("ref")
        self.value("color", "n")
        self.value("partner_latitude", "n")
        for number in ("+-5", " " * 21 + "x5", 10**400, "1" * 5000, 1e30, "1e999"):
            self.respond((200, {"id": "R", "n": number}))
            self.partner.ref = False
            with self.subTest(number=str(number)[:20]):
                delivery = self.send()

                self.assertEqual("R", self.partner.ref)
                self.assertEqual(0, self.partner.color)
                self.assertIn('"color", which needs a', delivery.processing_note)

    def test_an_id_of_a_record_of_another_company(self):
        """The receiver can't link a record to one of a company that isn't its own."""
        theirs = self.env["res.partner"].create(
            {
                "name": "Theirs",
                "company_id": self.env["res.company"].create({"name": "Other"}).id,
            }
        )
        self.value("parent_id")
        self.respond((200, {"id": theirs.id}))

        delivery = self.send()

        self.assertFalse(self.partner.parent_id)
        self.assertIn("belongs to company Other", delivery.processing_note)

    def test_only_if_empty_and_equal_values(self):
        """A filled field is left alone; an equal value is not written again."""
        self.partner.write({"ref": "mine", "website": "https://x.example"})
        self.value("ref", only_if_empty=True)
        self.value("website", "url")
        self.respond((200, {"id": "R-77", "url": "https://x.example"}))
        written = []
        write = type(self.partner).write

        def watched(records, vals):
            written.append((vals, records.env.context.get(ECHO)))
            return write(records, vals)

        self.patch(type(self.partner), "write", watched)
        self.send()
        self.assertEqual([], written)
        self.assertEqual("mine", self.partner.ref)

        self.partner.ref = False
        written.clear()
        self.send()
        self.assertEqual([({"ref": "R-77"}, self.endpoint.id)], written)

    def test_a_note_in_the_chatter(self):
        """Users of the record see what changed it; a text can't smuggle HTML in."""
        self.value("ref", create_note=True)
        self.respond((200, {"id": "<b>R</b>"}))

        self.send()

        body = self.partner.message_ids[0].body
        self.assertIn("&lt;b&gt;R&lt;/b&gt;", body)
        self.assertIn(self.endpoint.name, body)

    @mute_logger("odoo.sql_db", "odoo.addons.bwt_webhooks_outbound.lane.batch")
    def test_a_record_that_refuses_a_value(self):
        """A constraint of the record is named on the delivery; others are stored."""
        self.value("parent_id", "parent")
        self.value("ref")
        self.respond((200, {"parent": self.partner.id, "id": "R-77"}))

        delivery = self.send()

        self.assertEqual(("done", "R-77"), (delivery.state, self.partner.ref))
        self.assertFalse(self.partner.parent_id)
        self.assertIn('"parent_id" was not stored', delivery.processing_note)

    def test_no_record_deleted_record_other_model(self):
        """Without a record there is a note; a record of another model is skipped."""
        self.value("ref")
        self.respond((200, {"id": "R-77"}))

        without = self.queue({})
        without.process_delivery()
        other = self.send(self.env.company)
        gone = self.env["res.partner"].create({"name": "Gone"})
        deleted = self.queue({}, record=gone)
        gone.unlink()
        deleted.process_delivery()

        self.assertIn("about no record", without.processing_note)
        self.assertFalse(other.has_late_note)
        self.assertIn("was deleted", deleted.processing_note)
        self.assertEqual({"done"}, set((without | other | deleted).mapped("state")))

    def test_a_record_of_another_company(self):
        """An endpoint writes to no record of a company that isn't its own."""
        self.value("ref")
        self.respond((200, {"id": "R-77"}))
        self.partner.company_id = self.env["res.company"].create({"name": "Other"})

        delivery = self.send()

        self.assertFalse(self.partner.ref)
        self.assertIn("belongs to company Other", delivery.processing_note)

    def test_targets_that_are_refused_when_saved(self):
        """Nothing that decides about access, or that would be lost, is a target."""
        for model, field, words in (
            ("res.users", "login", "not written from responses"),
            ("res.groups", "name", "not written from responses"),
            ("ir.config_parameter", "value", "not written from responses"),
            ("mail.template", "body_html", "not written from responses"),
            (ENDPOINT, "target_hostname", "not written from responses"),
            ("res.partner", "nothing", "has no field"),
            ("res.partner", "company_id.name", "has no field"),
            ("res.partner", "display_name", "not stored"),
            ("res.partner", "create_uid", "not stored"),
            ("res.partner", "complete_name", "is computed"),
            ("res.partner", "signup_type", "limited to groups"),
            ("res.partner", "child_ids", "type one2many"),
        ):
            if field == "signup_type" and field not in self.env[model]._fields:
                continue
            with self.subTest(field), self.refused(words):
                self.value(field, target_model=model)

    def test_who_may_save_a_value(self):
        """It is written as superuser: only who may write the field may choose it."""
        administrator = new_test_user(self.env, "wh-admin-answer", ADMINISTRATOR)
        vals = {
            "endpoint_id": self.endpoint.id,
            "source_expression": "id",
            "target_model": "res.partner",
            "target_field": "ref",
        }
        values = self.env[ANSWER_VALUE].with_user(administrator)
        with self.assertRaises(AccessError):
            values.create(vals)
        theirs = self.env[ANSWER_VALUE].create(vals)
        with self.assertRaises(AccessError):
            theirs.with_user(administrator).source_expression = "other"

        administrator.group_ids |= self.env.ref("base.group_partner_manager")

        self.assertTrue(values.create(vals))

    def test_a_failing_hook_leaves_the_values(self):
        """Hooks of other addons run after the values, each on its own."""
        self.value("ref")
        self.respond((200, {"id": "R-77"}))

        def hook(delivery, response, state, outcome):
            seen.append(self.partner.ref)
            raise ValueError("hook")

        seen = []
        self.patch(
            type(self.env[self.queue()._name]), "_handle_outbound_response", hook
        )
        with mute_logger("odoo.addons.bwt_webhooks_outbound.lane.batch"):
            delivery = self.send()

        self.assertEqual(["R-77"], seen)
        self.assertEqual("R-77", self.partner.ref)
        self.assertIn("hook", delivery.processing_note)
