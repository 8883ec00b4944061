# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Random configurations: export, import into an empty company, export is equal."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo import Command
from odoo.tests import tagged

from ..constants import ENDPOINT, HANDLER
from .configuration_case import ConfigurationCase

EXAMPLES = int(os.environ.get("BWT_CONFIGURATIONS", "50"))

names = st.text("abcXYZ äß€{}<>&\"'\\\n", min_size=1, max_size=12).map(
    lambda text: text.replace("{", "(").replace("}", ")")
)
texts = st.one_of(st.just(False), names)
values = st.fixed_dictionaries(
    {"source_kind": st.just("literal"), "literal_value": names}
) | st.fixed_dictionaries(
    {
        "source_kind": st.sampled_from(["company_field", "partner_field"]),
        "source_expression": st.sampled_from(["name", "country_id.code", "id"]),
        "if_empty": st.sampled_from([False, "null", "blank", "omit"]),
        "value_format": st.sampled_from([False, "text"]),
    }
)
active = st.fixed_dictionaries({"active": st.booleans(), "sequence": st.integers(0, 3)})


def rows(*parts, **fields):
    """Lists of records of a model, as commands."""
    own = st.fixed_dictionaries(fields)
    row = st.tuples(own, *parts).map(
        lambda dicts: Command.create({k: v for each in dicts for k, v in each.items()})
    )
    return st.lists(row, max_size=3)


def is_header(text):
    return text.isascii() and text.isprintable() and text == text.strip()


header_rules = rows(
    active,
    values.filter(lambda each: is_header(each.get("literal_value", ""))),
    header_name=st.sampled_from(["X-A", "X-B", "X-Api-Key"]),
    value_map=st.sampled_from([False, "a = b\n* = c"]),
)
payload_rules = rows(active, values, target_path=st.sampled_from(["a", "b.c", "d.e.f"]))
answer_rules = rows(
    active,
    name=texts,
    statuses=st.sampled_from(["200-299", "409", "400,404"]),
    outcome=st.sampled_from(["done", "retry", "dead_letter", "cancel"]),
    retry_seconds=st.integers(0, 600),
    note=texts,
)
answer_values = rows(
    active,
    target_kind=st.just("external_data"),
    data_key=st.sampled_from(["url", "state"]),
    source_expression=st.sampled_from(["a.b", "c"]),
    when=st.sampled_from(["done", "any"]),
)
sequence = st.fixed_dictionaries({"sequence": st.integers(0, 3)})
handler_rules = rows(
    active,
    name=names,
    note=texts,
    result_status=st.sampled_from(["send", "done", "retry", "cancel"]),
    retry_seconds=st.integers(0, 600),
    condition_ids=rows(
        sequence,
        source_kind=st.just("context_key"),
        source_expression=st.sampled_from(["total", "kind"]),
        operator=st.sampled_from(["equals", "is_set", "in"]),
        expected_value=texts,
    ),
    assignment_ids=rows(
        sequence,
        values,
        target_scope=st.just("payload"),
        target_expression=st.sampled_from(["x", "y.z"]),
    ),
)
endpoints = st.lists(
    st.fixed_dictionaries(
        {
            "name": names,
            "note": texts,
            "target_path": st.sampled_from(["/", "/a/{id}", "/b?c=d"]),
            "http_method": st.sampled_from(["post", "put", "patch"]),
            "request_body_mode": st.sampled_from(["json", "csv", "multipart"]),
            "timeout_seconds": st.integers(1, 60),
            "max_in_flight": st.integers(1, 20),
            "retry_schedule": st.sampled_from([False, "5s", "1m,2h"]),
            "ordering": st.sampled_from(["none", "key", "endpoint"]),
            "csv_quote_all": st.booleans(),
            "uses_handler": st.booleans(),
            "header_rule_ids": header_rules,
            "payload_rule_ids": payload_rules,
            "answer_rule_ids": answer_rules,
            "answer_value_ids": answer_values,
        }
    ),
    min_size=1,
    max_size=2,
)
handlers = st.fixed_dictionaries(
    {"name": names, "note": texts, "outbound_rule_ids": handler_rules}
)
actions = st.lists(
    st.fixed_dictionaries(
        {
            "bwt_webhook_supersede": st.booleans(),
            "bwt_webhook_settle_seconds": st.integers(0, 60),
            "bwt_webhook_payload_mode": st.just("rules"),
            "bwt_webhook_context_ids": rows(
                sequence,
                usage=st.just("context"),
                target=st.sampled_from(["id", "key"]),
                source_expression=st.sampled_from(["id", "name"]),
            ),
            "bwt_webhook_rule_ids": rows(
                sequence,
                usage=st.just("payload"),
                target=st.sampled_from(["a", "b.c"]),
                source_expression=st.sampled_from(["name", "parent_id.name"]),
            ),
        }
    ),
    max_size=1,
)


@tagged("post_install", "-at_install")
class TestRandomConfigurations(ConfigurationCase):
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(endpoints, handlers, actions)
    def test_export_import_export_is_equal(self, endpoints, handler, actions):
        """Whatever is configured arrives as it was, and importing again is nothing."""
        with self.env.cr.savepoint() as made:
            self._make(endpoints, handler, actions)
            text = self.export()
            made.rollback()
            self.env.transaction.clear()

            first = self.load(text)
            again = self.export()
            second = self.load(text, delete=True, dry_run=True)
            made.rollback()
            self.env.transaction.clear()

        self.assertEqual(text, again)
        self.assertEqual({"new"}, set(self.statuses(first).values()))
        self.assertEqual({"unchanged"}, set(self.statuses(second).values()))

    def _make(self, endpoints, handler, actions):
        own = {"company_id": self.company.id}
        handler = self.env[HANDLER].create({"code": "handler", **handler, **own})
        for number, vals in enumerate(endpoints):
            vals = dict(vals)
            if vals.pop("uses_handler"):
                vals["handler_id"] = handler.id
            endpoint = self.env[ENDPOINT].create(
                {
                    "code": f"endpoint-{number}",
                    "target_hostname": "https://a.example.com",
                    **vals,
                    **own,
                }
            )
        for vals in actions:
            self.env["ir.actions.server"].create(
                {
                    "name": "Random",
                    "model_id": self.env["ir.model"]._get_id("res.partner"),
                    "state": "bwt_webhook_outbound",
                    "bwt_webhook_endpoint_id": endpoint.id,
                    **vals,
                }
            )
