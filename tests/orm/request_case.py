# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Base of the tests that build requests and call handlers."""

import sys
from contextlib import contextmanager
from unittest import SkipTest

from odoo.exceptions import ValidationError
from odoo.tests.common import TransactionCase, tagged

from ..constants import ALLOWED_NETWORKS, ENDPOINT, HANDLER


def need_test_addon(env, model_name):
    """Stop where the addon with this model (tests/addons) isn't installed.

    `make test` installs them, so there it is a failure. Odoo's own runner may be
    given this addon alone: it skips.
    """
    if model_name in env:
        return
    missing = f"{model_name} is missing: install the addons of tests/addons"
    if "pytest" in sys.modules:
        raise AssertionError(missing)
    raise SkipTest(missing)


@tagged("post_install", "-at_install")
class RequestCase(TransactionCase):
    """An endpoint, and short ways to add rules and to build a request."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context=dict(cls.env.context, tracking_disable=True))
        cls.env["ir.config_parameter"].set_param(ALLOWED_NETWORKS, "127.0.0.0/8")
        cls.endpoint = cls.env[ENDPOINT].create(
            {
                "name": "Shop orders",
                "code": "shop-orders",
                "target_hostname": "https://shop.example.com",
                "target_path": "/orders",
            }
        )
        cls.partner = cls.env["res.partner"].create(
            {"name": "Ada", "ref": "A-1", "email": "ada@example.com"}
        )

    @classmethod
    def need_test_addon(cls, model_name):
        """Stop where the addon with this model (tests/addons) isn't installed."""
        need_test_addon(cls.env, model_name)

    @contextmanager
    def refused(self, pattern, error=ValidationError):
        """The block raises with a text that matches; what it wrote is rolled back."""
        with self.assertRaises(error) as caught:
            yield
        self.assertRegex(str(caught.exception), pattern)

    def rule(self, target, kind="literal", expression=False, literal=False, **vals):
        """A payload rule."""
        return self._rule(
            "payload", "target_path", target, kind, expression, literal, vals
        )

    def header(self, target, kind="literal", expression=False, literal=False, **vals):
        """A header rule."""
        return self._rule(
            "header", "header_name", target, kind, expression, literal, vals
        )

    def _rule(self, what, name, target, kind, expression, literal, vals):
        return self.env[f"bwt.webhook.outbound.endpoint.{what}.rule"].create(
            {
                "endpoint_id": self.endpoint.id,
                name: target,
                "source_kind": kind,
                "source_expression": expression,
                "literal_value": literal,
                **vals,
            }
        )

    def deliver(self, payload=None, context_lines=None, **options):
        """A queued delivery."""
        return self.endpoint.queue_delivery(payload, context_lines, **options)

    def built(self, payload=None, context_lines=None, **options):
        """The request of a new delivery."""
        return self.deliver(payload, context_lines, **options)._build_outbound_request()

    def handler(self, *rules, code="decider"):
        """A model-driven handler of the endpoint; each rule is a dict of values."""
        handler = self.env[HANDLER].create(
            {
                "name": code.title(),
                "code": code,
                "outbound_rule_ids": [
                    (0, 0, {"name": f"rule {n}", **rule})
                    for n, rule in enumerate(rules, 1)
                ],
            }
        )
        self.endpoint.handler_id = handler
        return handler

    def handler_outcome(self, *args, **options):
        """The outcome of a new delivery."""
        delivery = self.deliver(*args, **options)
        return delivery._invoke_handler(delivery._build_outbound_request())


def condition(expression, operator="equals", expected=False, kind="request_field"):
    """Create command of a condition."""
    return (
        0,
        0,
        {
            "source_kind": kind,
            "source_expression": expression,
            "operator": operator,
            "expected_value": expected,
        },
    )


def assignment(scope, target, literal=False, kind="literal", expression=False):
    """Create command of an assignment."""
    return (
        0,
        0,
        {
            "target_scope": scope,
            "target_expression": target,
            "source_kind": kind,
            "source_expression": expression,
            "literal_value": literal,
        },
    )
