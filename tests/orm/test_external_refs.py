# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The id of a record at the receiver: stored, sent, and created only once."""

import json

from psycopg2.errors import UniqueViolation

from odoo import Command
from odoo.tools import mute_logger

from ..constants import EXTERNAL_REF, PAYLOAD_RULE, SEND_TEST
from .answer_case import AnswerCase


class TestExternalRefs(AnswerCase):
    def test_create_then_update(self):
        """The first delivery of a record creates it, the next ones update it."""
        self.upsert()
        self.respond((201, {"id": "R-77"}))

        first, second = self.send(), self.send()

        self.assertEqual([("POST", "/orders"), ("PUT", "/orders/R-77")], self.arrived())
        self.assertEqual([(self.partner.id, "R-77")], self.references())
        self.assertEqual("R-77", second.external_ref_id.external_id)
        self.assertEqual(first, second.external_ref_id.last_delivery_id)
        self.assertFalse((first | second).filtered("has_late_note"))
        self.assertEqual(["post", "put"], (first | second).mapped("shown_method"))

    def test_each_record_has_its_own(self):
        """Several records in one batch, known and new ones."""
        self.upsert()
        self.respond((201, {"id": "R-1"}), (201, {"id": "R-2"}))
        self.send()
        self.send(self.other)
        self.receiver.clear()

        self.queue({}, record=self.other).process_delivery()
        self.queue({}, record=self.partner).process_delivery()

        self.assertEqual(
            [("PUT", "/orders/R-2"), ("PUT", "/orders/R-1")], self.arrived()
        )

    def test_data_of_a_reference(self):
        """Values stored under a key are read in paths, headers and rules."""
        self.upsert()
        self.external_id("v", target_kind="external_data", data_key="version")
        self.endpoint.update_path = "/orders/{external_id}?v={external.version}"
        self.env[PAYLOAD_RULE].create(
            [
                {
                    "endpoint_id": self.endpoint.id,
                    "target_path": "id",
                    "source_kind": "context_key",
                    "source_expression": "external_id",
                },
                {
                    "endpoint_id": self.endpoint.id,
                    "target_path": "text",
                    "literal_value": "{external_id}/{external.version}",
                    "if_empty": "null",
                },
            ]
        )
        self.respond((201, {"id": "R-77", "v": 3}))

        self.send()
        self.send()

        created, updated = self.receiver.requests
        self.assertEqual({"id": None, "text": None}, created.json())
        self.assertEqual("/orders/R-77?v=3", updated.path)
        self.assertEqual({"id": "R-77", "text": "R-77/3"}, updated.json())

    def test_two_answer_values_for_the_id(self):
        """Refused when saved: every creation would leave a note on one of them."""
        stored = self.external_id()
        second = {
            "source_expression": "data.id",
            "target_kind": "external_id",
        }
        with self.refused(r"more than one response value .*\(id, data\.id\)"):
            self.endpoint.answer_value_ids = [Command.create(second)]
        with self.refused("If Missing of each to Leave Unchanged"):
            self.endpoint.answer_value_ids = [Command.create(second)]

        self.endpoint.answer_value_ids = [Command.create({**second, "active": False})]
        other = self.endpoint.with_context(active_test=False).answer_value_ids - stored
        self.endpoint.answer_value_ids = [
            Command.update(other.id, {"active": True}),
            Command.delete(stored.id),
        ]

        self.assertEqual(other, self.endpoint.answer_value_ids)

    def test_alternative_paths_of_the_id(self):
        """A response that has one of them is stored without a note."""
        self.external_id("id", if_empty="omit")
        self.external_id("existing.id", if_empty="omit")
        self.respond(
            (200, {"id": 1, "existing": {"id": 2}}), (200, {"existing": {"id": 3}})
        )

        sent = self.send() + self.send(self.other)

        self.assertEqual([False, False], sent.mapped("has_late_note"))
        self.assertEqual(
            [(self.partner.id, "1"), (self.other.id, "3")], self.references()
        )

    def test_two_ids_for_one_record(self):
        """The stored id stays, and the delivery says so."""
        self.upsert()
        self.respond((201, {"id": "R-1"}))
        self.respond((200, {"id": "R-2"}), path="/orders/R-1")
        self.send()

        delivery = self.send()

        self.assertEqual([(self.partner.id, "R-1")], self.references())
        self.assertEqual(("done", True), (delivery.state, delivery.has_late_note))
        self.assertIn('"R-1", and the new one is "R-2"', delivery.processing_note)

    def test_one_id_for_two_records(self):
        """The first record keeps the id, and the delivery of the second says so."""
        self.upsert()
        self.respond((201, {"id": "R-1"}))
        self.send()

        delivery = self.send(self.other)

        self.assertEqual([(self.partner.id, "R-1")], self.references())
        self.assertTrue(delivery.has_late_note)
        self.assertIn(f"res.partner, {self.partner.id}", delivery.processing_note)

    def test_without_a_record(self):
        """Nothing is created for a delivery about no record."""
        self.upsert()

        delivery = self.queue({})
        delivery.process_delivery()

        self.assertEqual("error", delivery.state)
        self.assertIn("the delivery is about none", delivery.processing_error)
        self.assertEqual([], self.arrived())

    def test_a_delete_of_what_is_not_there(self):
        """A path that needs the id says what to do, and nothing is sent."""
        delete = self.make_endpoint(
            "orders-delete",
            target_path="/orders/{external_id}",
            http_method="delete",
            reference_scope=self.endpoint.reference_scope,
        )
        self.upsert()
        self.respond((201, {"id": "R-77"}))

        early = delete.queue_delivery({}, record=self.partner)
        early.process_delivery()
        self.send()
        late = delete.queue_delivery({}, record=self.partner)
        late.process_delivery()

        self.assertIn("no external reference", early.processing_error)
        self.assertEqual(("DELETE", "/orders/R-77"), self.arrived()[-1])

    def test_the_order_that_creating_needs(self):
        """Saving sets it, whatever key a delivery is given; it can't be changed."""
        self.endpoint.parallel_lanes = 4
        self.upsert()

        self.assertEqual(
            ("key", 4), (self.endpoint.ordering, self.endpoint.parallel_lanes)
        )
        deliveries = self.queue({}, record=self.partner, ordering_key="a")
        deliveries |= self.queue({}, record=self.partner, ordering_key="b")
        self.assertEqual(
            {f"res.partner,{self.partner.id}"}, set(deliveries.mapped("ordering_group"))
        )
        with self.refused("needs an ordering"):
            self.endpoint.ordering = "none"

    def test_one_creating_endpoint_per_scope(self):
        """Two would create a record twice; endpoints that read it may share it."""
        self.upsert()
        second = self.make_endpoint("second", reference_scope="orders")

        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(UniqueViolation),
        ):
            second.write({"create_or_update": True, "update_path": "/x/{external_id}"})
            self.env.flush_all()

    def test_what_create_or_update_needs(self):
        """Without a path for the update it can't be saved."""
        with self.refused("needs the method and path"):
            self.endpoint.create_or_update = True

    def test_scope_of_another_company(self):
        """References of one company are never read by another one's endpoint."""
        company = self.env["res.company"].create({"name": "Other"})

        with self.refused("belongs to another company"):
            self.make_endpoint(
                "theirs", company_id=company.id, reference_scope="orders"
            )
        with self.refused("belongs to another company"):
            self.env[EXTERNAL_REF].create(
                {
                    "reference_scope": "orders",
                    "company_id": company.id,
                    "res_model": "res.partner",
                    "res_id": self.partner.id,
                    "external_id": "R-1",
                }
            )

    def test_for_code(self):
        """Code reads, sets and completes a reference, and conflicts raise."""
        endpoint = self.endpoint
        self.assertFalse(endpoint._get_external_ref(self.partner))

        ref = endpoint._set_external_ref(self.partner, 77, {"url": "https://x/77"})
        endpoint._set_external_ref(self.partner, data={"v": 2})

        self.assertEqual(ref, endpoint._get_external_ref(self.partner))
        self.assertEqual("77", ref.external_id)
        self.assertEqual('{"url": "https://x/77", "v": 2}', ref.data)
        self.assertEqual("Ada", ref.record_name)
        with self.refused('has the external ID "77"'):
            endpoint._set_external_ref(self.partner, 78)
        with self.refused("another record"):
            endpoint._set_external_ref(self.other, 77)
        with self.refused("no external ID yet"):
            endpoint._set_external_ref(self.other, data={"v": 1})
        with self.refused("not a valid external ID"):
            endpoint._set_external_ref(self.other, ["R"])

    def test_send_test_shows_the_update(self):
        """The preview of a known record is its update."""
        self.upsert()
        self.endpoint._set_external_ref(self.partner, "R-77")
        test = self.env[SEND_TEST].create(
            {
                "endpoint_id": self.endpoint.id,
                "record_ref": f"res.partner,{self.partner.id}",
            }
        )

        test.action_preview()

        self.assertRegex(test.request_line, "^PUT .*/orders/R-77$")

    def test_data_is_a_json_object(self):
        """Rules read keys of it."""
        ref = self.endpoint._set_external_ref(self.partner, "R-77")
        for text in ("[1]", "{", '"x"'):
            with self.subTest(text), self.refused("not a JSON object"):
                ref.data = text

    def test_an_empty_external_id(self):
        """It is refused with words: Python's own error on it was a traceback."""
        ref = self.endpoint._set_external_ref(self.partner, "R-77")
        for empty in (False, " "):
            with self.subTest(empty), self.refused("external ID is empty"):
                ref.external_id = empty

    def test_data_that_no_database_stores(self):
        """Half a character and NUL are stored as JSON writes them."""
        self.external_id()
        for key in ("half", "nul"):
            self.external_id(key, target_kind="external_data", data_key=key)
        self.respond((201, {"id": "R-77", "half": "\ud800", "nul": "\x00"}))

        delivery = self.send()

        self.assertFalse(delivery.has_late_note, delivery.processing_note)
        data = json.loads(self.endpoint._get_external_ref(self.partner).data)
        self.assertEqual(2, len(data))

    def test_ids_that_would_change_the_request(self):
        """An ID of the receiver is one part of the path, whatever it contains."""
        self.upsert()
        for received, path in (
            ("a/b?c=d#e", "/orders/a%2Fb%3Fc%3Dd%23e"),
            ("a\r\nX-Injected: 1", "/orders/a%0D%0AX-Injected%3A%201"),
            ("../../admin", "/orders/..%2F..%2Fadmin"),
            ("{external_id}", "/orders/%7Bexternal_id%7D"),
            ("a'\"\\", "/orders/a%27%22%5C"),
        ):
            partner = self.env["res.partner"].create({"name": received})
            self.respond((201, {"id": received}))
            with self.subTest(received):
                self.send(partner)
                self.send(partner)

                self.assertEqual(("PUT", path), self.arrived()[-1])
                self.assertNotIn("X-Injected", self.receiver.requests[-1].headers)

    def test_an_id_of_dots_is_no_path(self):
        """`..` as an ID is not sent as the folder above."""
        self.upsert()
        self.respond((201, {"id": ".."}))
        self.send()

        delivery = self.send()

        self.assertEqual([("POST", "/orders")], self.arrived()[:1])
        self.assertNotIn(("PUT", "/"), self.arrived(), delivery.processing_error)
        self.assertEqual("error", delivery.state)
