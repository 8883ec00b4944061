# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The record that a delivery is about: its column, and the search by it."""

from odoo.exceptions import UserError
from odoo.tests import new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.models.delivery_record import MATCHES_MAX

from ..constants import DELIVERY, OPERATOR
from .common import OutboundCase


@tagged("any_database")
class TestDeliveryRecord(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator = new_test_user(cls.env, "record_operator", OPERATOR)
        cls.partner = cls.env["res.partner"].create({"name": "Azure Interior"})

    def about(self, record):
        return self.queue({"a": 1}, record=record)

    def shown(self, delivery, user=None):
        delivery = delivery.with_user(user or self.operator)
        return delivery.record_name, delivery.record_opens

    def test_the_name_is_shown(self):
        """The display name, in the language of the reader; nothing without a record."""
        self.assertEqual(("Azure Interior", True), self.shown(self.about(self.partner)))
        self.assertEqual((False, False), self.shown(self.queue({"a": 1})))

    def test_the_reader_needs_access_to_the_record(self):
        """A reader without access sees model and id: neither name nor link.

        A delivery is read by operators who may not see employees, salaries or records
        of another company. The name that was read by another user must not show
        either.
        """
        secret = self.env["ir.config_parameter"].create({"key": "secret", "value": "1"})
        other = self.env["res.company"].create({"name": "Other"})
        theirs = self.env["res.partner"].create(
            {"name": "Their Customer", "company_id": other.id}
        )
        for record in (secret, theirs):
            with self.subTest(record=record):
                delivery = self.about(record)
                self.assertEqual(record.display_name, delivery.record_name)

                shown = self.shown(delivery)

                self.assertEqual((f"{record._name}, {record.id}", False), shown)
                [read] = delivery.with_user(self.operator).web_read({"record_name": {}})
                self.assertEqual(f"{record._name}, {record.id}", read["record_name"])

    def test_what_is_gone_says_so(self):
        """A deleted record and a model that was uninstalled are named as such.

        Whether an id exists is not shown to a reader without access to the model.
        """
        deleted, secret = self.about(self.partner), self.queue({"a": 1})
        gone = self.queue({"a": 1})
        number = self.partner.id
        self.partner.unlink()
        secret.write({"res_model": "ir.config_parameter", "res_id": 2**30})
        gone.write({"res_model": "x_gone", "res_id": 3})

        self.assertEqual(
            (f"res.partner, {number} (deleted)", False), self.shown(deleted)
        )
        self.assertEqual(("x_gone, 3 (deleted)", False), self.shown(gone))
        self.assertEqual((f"ir.config_parameter, {2**30}", False), self.shown(secret))

    def test_archived_records_are_shown(self):
        """An archived record is still the one that the delivery is about."""
        self.partner.active = False

        self.assertEqual(("Azure Interior", True), self.shown(self.about(self.partner)))

    def test_a_broken_name_breaks_no_list(self):
        """A record whose name can't be computed is shown by model and id.

        An error in another addon would otherwise keep operators out of all deliveries.
        """
        partners = type(self.env["res.partner"])

        def fail(records):
            raise ZeroDivisionError("no name")

        self.patch(partners, "_compute_display_name", fail)
        delivery = self.about(self.partner)
        self.env.invalidate_all()

        self.assertEqual(
            (f"res.partner, {self.partner.id}", True), self.shown(delivery)
        )

    def test_one_query_per_model(self):
        """A page of 80 needs as many queries as one of 4 records: one per model."""
        partners = self.env["res.partner"].create(
            [{"name": f"P{n}"} for n in range(80)]
        )
        users = self.env["res.users"].search([], limit=4)
        pages = [
            self.endpoint.queue_deliveries([{"record": each} for each in records])
            for records in ([*partners[:2], *users[:2]], [*partners, *users])
        ]
        counts = []
        pages[0].with_user(self.operator).mapped("record_name")  # rights are cached
        for page in pages:
            self.env.flush_all()
            self.env.invalidate_all()
            page = page.with_user(self.operator)
            page.mapped("res_id")
            before = self.env.cr.sql_log_count
            names = page.mapped("record_name")
            counts.append(self.env.cr.sql_log_count - before)
            self.assertTrue(all(names))

        self.assertEqual(counts[0], counts[1])
        # More than two: the name of a user is that of a contact, and has rules.
        self.assertLessEqual(counts[1], 5)

    # Search

    def found(self, value, operator="ilike", user=None):
        deliveries = self.env[DELIVERY].with_user(user or self.operator)
        return deliveries.search([("record_name", operator, value)]).sudo()

    def test_search_by_name(self):
        """By part of the display name, in every model that deliveries are about."""
        about = self.about(self.partner)
        user = self.about(new_test_user(self.env, "azure_user", name="Azure User"))
        self.about(self.env["res.partner"].create({"name": "Deco Addict"}))

        self.assertEqual(about + user, self.found("azure").sorted("id"))
        self.assertEqual(about, self.found("Azure Interior", "="))
        self.assertNotIn(about, self.found("azure", "not ilike"))
        self.partner.active = False
        self.assertIn(about, self.found("azure"))
        self.assertFalse(self.found("no such name"))

    def test_search_by_model_and_id(self):
        """As it is shown without access, with or without a space; also deleted ones."""
        about = self.about(self.partner)
        number = self.partner.id
        self.partner.unlink()

        for text in (f"res.partner,{number}", f" res.partner, {number} "):
            self.assertEqual(about, self.found(text))
        self.assertFalse(self.found("res.partner,99999999999"))

    def test_search_finds_what_the_reader_may_read(self):
        """Nobody finds out by searching how a record is called that they can't read."""
        other = self.env["res.company"].create({"name": "Other"})
        theirs = self.env["res.partner"].create(
            {"name": "Their Customer", "company_id": other.id}
        )
        secret = self.env["ir.config_parameter"].create(
            {"key": "their.key", "value": "1"}
        )
        both = self.about(theirs) + self.about(secret)

        self.assertFalse(self.found("their"))
        self.assertEqual(both, self.found("their", user=self.env.user).sorted("id"))

    def test_search_is_bounded(self):
        """A name of very many records is refused, instead of reading them all."""
        partners = self.env["res.partner"].create(
            [{"name": f"Many {n}"} for n in range(MATCHES_MAX + 1)]
        )
        self.about(partners[0])

        with self.refused("more than 1000 records of Contact", UserError):
            self.found("many")
        partners[1].unlink()
        self.assertTrue(self.found("many"))

    def test_search_without_a_name(self):
        """Empty: deliveries about no record."""
        self.about(self.partner)
        none = self.queue({"a": 1})

        found = self.found(False, "=")

        self.assertIn(none, found)
        self.assertFalse(found.filtered("res_id"))

    def test_models_without_names_are_left_out(self):
        """Odoo would find every record of a model that has no name."""
        model = next(
            self.env[name]
            for name in ("ir.model.access", "mail.tracking.value", "bus.bus")
            if not (self.env[name]._rec_name or self.env[name]._rec_names_search)
        )
        self.queue({"a": 1}).write({"res_model": model._name, "res_id": 1})

        self.assertFalse(self.found("anything", user=self.env.user))
