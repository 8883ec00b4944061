# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from ..constants import DELIVERY
from .request_case import RequestCase


class TestContextLines(RequestCase):
    def test_mapping_round_trips(self):
        """What was given comes back with its type, braces and all."""
        given = {
            "text": "42",
            "number": 42,
            "flag": True,
            "nothing": None,
            "empty": "",
            "token": "a {order_id} {{b}} }}",
            "json": '{"a": {"b": 1}}',
            "list": [1, "{x}", {"k": "{{"}],
            "lines": 'a\nb "q"',
        }

        self.assertEqual(given, self.deliver(context_lines=given)._get_context_values())

    def test_lines_as_dicts_later_sees_earlier(self):
        """Lines with sources; tokens refer to the lines before them."""
        delivery = self.deliver(
            context_lines=[
                {"key_name": "id", "literal_value": "7"},
                {
                    "key_name": "code",
                    "source_kind": "endpoint_field",
                    "source_expression": "code",
                },
                {"key_name": "both", "literal_value": "{code}/{id}"},
                {"key_name": "typed", "literal_value": 7},
                {"key_name": "off", "literal_value": "1", "active": False},
            ]
        )

        self.assertEqual(
            {"id": 7, "code": "shop-orders", "both": "shop-orders/7", "typed": 7},
            delivery._get_context_values(),
        )

    def test_refused_lines(self):
        """What can't be a context line is refused by name."""
        for lines, text in (
            ({"a": {1, 2}}, "a is of type set"),
            ({"": 1}, "is not a text"),
            ("text", "must be a mapping"),
            ([{"key": "a"}], "context line 1"),
            (
                [{"key_name": "a", "source_kind": "company_field"}],
                "the path is empty",
            ),
        ):
            with self.refused(text):
                self.deliver(context_lines=lines)

    def test_edited_line_is_used(self):
        """A line that is changed on a draft counts from then on."""
        delivery = self.env[DELIVERY].create(
            {
                "endpoint_id": self.endpoint.id,
                "context_line_ids": [(0, 0, {"key_name": "a", "literal_value": "1"})],
            }
        )
        delivery.context_line_ids.literal_value = "2"

        self.assertEqual({"a": 2}, delivery._get_context_values())
        self.assertEqual(2, delivery._resolve_source_value("context_key", "a", False))
        self.assertFalse(delivery._resolve_source_value("nonsense", "a", False))
