# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What connectors of the family call, called as they do."""

import inspect
from ast import literal_eval

from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.services import result_types
from odoo.addons.bwt_webhooks_outbound.services.errors import ConfigurationError
from odoo.addons.bwt_webhooks_outbound.services.outcome import HandlerOutcome
from odoo.addons.bwt_webhooks_outbound.services.request import OutboundRequest
from odoo.addons.bwt_webhooks_outbound.services.transport import (
    flatten_form_data,
    normalize_request_files,
)

from ..constants import CONNECTOR_MIXIN, DELIVERY, ENDPOINT, HANDLER
from .request_case import RequestCase


class ConnectorCase(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("shop.backend")
        cls.backend = cls.env["shop.backend"].create(
            {"name": "My Shop", "api_base_url": "https://shop.example.com"}
        )
        cls.endpoint = cls.env[ENDPOINT].create(
            {
                "name": "Orders",
                "code_suffix": "orders",
                "connector_backend_ref": cls.backend,
                "target_path": "/orders",
            }
        )


@tagged("post_install", "-at_install")
class TestContract(ConnectorCase):
    def override(self, hook):
        """The backend's delivery hook as an addon on top writes it."""
        self.patch(type(self.backend), "_handle_outbound_webhook_delivery", hook)

    # pylint: disable-next=missing-return  # the hooks inside call super
    def test_delivery_hook_in_every_form(self):
        """The hook takes the request, or leaves it out, and calls super() likewise.

        `super()` with one argument, as the published guide writes it, was a TypeError.
        """
        backend_class = type(self.backend)

        def alone(backend, delivery):
            super(backend_class, backend)._handle_outbound_webhook_delivery(delivery)
            return {"status": "cancel", "note": "alone"}

        def both(backend, delivery, request):
            super(backend_class, backend)._handle_outbound_webhook_delivery(
                delivery, request
            )
            return {"status": "cancel", "note": request.http_method}

        def by_default(backend, delivery, request=None):
            return {"status": "cancel", "note": request.http_method}

        def by_name(backend, delivery, *, request=None):
            return {"status": "cancel", "note": request.http_method}

        def anything(backend, *args, **kwargs):
            return {"status": "cancel", "note": args[1].http_method}

        def by_keywords(backend, delivery, **kwargs):
            return {"status": "cancel", "note": kwargs["request"].http_method}

        for hook, note in (
            (alone, "alone"),
            (both, "post"),
            (by_default, "post"),
            (by_name, "post"),
            (anything, "post"),
            (by_keywords, "post"),
        ):
            with self.subTest(hook.__name__):
                self.override(hook)

                outcome = self.handler_outcome()

                self.assertEqual(("cancel", note), (outcome.status, outcome.note))

    def test_queueing_on_no_endpoint(self):
        """A search that found nothing, or too much, is reported with a message.

        It was a ValueError, which nobody who catches ValidationError caught.
        """
        queue = self.backend.queue_outbound_delivery
        second = self.endpoint.copy()

        for endpoint, message in (
            (self.env[ENDPOINT], "got none"),
            (False, "got none"),
            (None, "got none"),
            (self.endpoint | second, "got bwt.webhook"),
            (self.backend, "got shop.backend"),
            ("orders", "got 'orders'"),
        ):
            with (
                self.subTest(message),
                self.refused(f"one outbound endpoint, but {message}"),
            ):
                queue(endpoint, "x")
        with self.refused("one backend .shop.backend., but got 0"):
            self.env["shop.backend"].queue_outbound_delivery(self.endpoint, "x")

    def test_create_with_a_default_endpoint(self):
        """A view's default sets the endpoint, and the name is made from it."""
        deliveries = self.env[DELIVERY].with_context(
            default_endpoint_id=self.endpoint.id
        )

        empty = deliveries.create({})
        named = deliveries.create({"name": "Mine"})
        by_context = deliveries.with_context(default_name="Theirs").create({})

        self.assertEqual(self.endpoint, empty.endpoint_id)
        self.assertRegex(empty.name, r"^Orders / \d{4}-\d\d-\d\d ")
        self.assertEqual(["Mine", "Theirs"], [named.name, by_context.name])
        self.assertEqual("draft", Form(deliveries).save().state)

    def test_context_texts_are_stored_as_they_are(self):
        """`create` is stored as create, not "create"; what JSON would read is quoted.

        Connectors search lines by their literal value.
        """
        given = {
            "operation": "create",
            "number": "42",
            "flag": "true",
            "nothing": "null",
            "empty": "",
            "blank": " ",
            "quoted": '"x"',
            "list": "[1]",
            "token": "{order_id} {{x}}",
            "zero": "a\x00b",
            "integer": 42,
        }
        stored = {
            "operation": "create",
            "number": '"42"',
            "flag": '"true"',
            "nothing": '"null"',
            "empty": '""',
            "blank": " ",
            "list": '"[1]"',
            "token": "{{order_id}} {{{{x}}}}",
            "integer": "42",
        }

        delivery = self.backend.queue_outbound_delivery(
            self.endpoint, "x", context_values=given, auto_queue=False
        )
        queued = self.deliver(context_lines=given)

        for each in (delivery, queued):
            lines = {
                line.key_name: line.literal_value for line in each.context_line_ids
            }
            self.assertEqual(stored, {key: lines[key] for key in stored})
            self.assertEqual(given, each._get_context_values())

    def test_binding_without_backend_or_model(self):
        """A record of no backend is found; the model may come as argument alone."""
        model = self.env["shop.binding"]
        mine = model.create({"name": "Mine", "backend_id": self.backend.id})
        self.env.cr.execute("ALTER TABLE shop_binding ALTER backend_id DROP NOT NULL")
        self.env.cr.execute(
            "UPDATE shop_binding SET backend_id = NULL WHERE id = %s", (mine.id,)
        )
        self.env.invalidate_all()
        resolve = self.backend.resolve_outbound_delivery_binding
        by_id = self.deliver(context_lines={"binding_id": mine.id})
        by_both = self.deliver(
            context_lines={"binding_model": model._name, "binding_id": str(mine.id)}
        )

        self.assertEqual(mine, resolve(by_both))
        self.assertEqual(mine, resolve(by_id, model._name))
        self.assertEqual(self.env["shop.backend"], resolve(by_id))
        self.assertFalse(resolve(by_both, "res.partner"))
        self.assertFalse(resolve(self.deliver(), model._name))
        self.assertFalse(resolve(by_id, "no.model"))
        theirs = self.backend.copy({"name": "Theirs"})
        mine.backend_id = theirs
        self.assertFalse(resolve(by_id, model._name))

    def test_files_and_fields_of_a_wrong_kind(self):
        """A configuration error with a message, not an AttributeError."""
        for function, values in (
            (normalize_request_files, (["a"], "abc", {"a"}, 5)),
            (flatten_form_data, (["a"], "abc", {"a"}, 5)),
        ):
            for value in values:
                with self.subTest(function.__name__, value=value):
                    with self.assertRaisesRegex(ConfigurationError, "mapping"):
                        function(value)
            for nothing in (None, {}, []):
                self.assertEqual({}, function(nothing))

    def test_prefix_is_made_a_slug(self):
        """A backend may return its name as prefix; the code is a code all the same."""
        for prefix, code in (
            ("My Shop", "my-shop-orders"),
            ("shop.backend-7", "shop.backend-7-orders"),
            (" -Größe_1. ", "gr-e_1-orders"),
            ("", "orders"),
        ):
            self.patch(
                type(self.backend), "_get_technical_prefix", lambda _self, p=prefix: p
            )
            name = self.backend._build_backend_scoped_technical_name("Orders")
            self.assertEqual(code, name)

    def test_defaults_of_the_contract(self):
        """Helpers can be called as the published guides call them."""
        signatures = {
            result_types.webhook_done: "(note=None)",
            result_types.webhook_dead_letter: "(note)",
            result_types.webhook_retry: "(note, seconds=60)",
            result_types.webhook_cancel: "(note=None)",
            OutboundRequest.from_dict: "(data, *, default_body_mode='json')",
            self.backend.queue_outbound_delivery: "(endpoint, name, payload=None, "
            "headers=None, context_values=None, auto_queue=True, **options)",
            self.backend.get_outbound_endpoint: "(endpoint_code=False, "
            "code_suffix=False, required=True)",
            self.backend._get_outbound_api_base_url: "(delivery=None)",
            self.env[
                CONNECTOR_MIXIN
            ]._handle_outbound_webhook_delivery: "(delivery, request=None)",
            self.backend.resolve_outbound_delivery_binding: "(delivery, "
            "model_name=None)",
            self.endpoint._get_outbound_target_hostname: "(delivery=None)",
            self.endpoint._render_outbound_target_url: "(context_values, "
            "delivery=None)",
            self.env[HANDLER].execute_outbound: "(delivery, request_data=None)",
        }
        delivery = self.env[DELIVERY]

        for function, text in signatures.items():
            with self.subTest(function.__qualname__):
                self.assertEqual(text, str(inspect.signature(function)))
        self.assertEqual({"status": "done"}, delivery.webhook_done())
        self.assertEqual({"status": "cancel"}, delivery.webhook_cancel())
        self.assertEqual(
            {"status": "retry", "note": "later", "seconds": 60},
            delivery.webhook_retry("later"),
        )
        self.assertEqual(5, delivery.webhook_retry(seconds=5)["seconds"])
        self.assertEqual({"status": "send"}, delivery._build_outbound_delivery_result())
        outcome = HandlerOutcome("send", None)
        self.assertEqual(
            ("", None, False), (outcome.note, outcome.seconds, outcome.matched_rule_id)
        )

    def test_deliveries_open_grouped_by_day(self):
        """The menu shows what isn't done yet, by day, with the days unfolded."""
        action = self.env.ref("bwt_webhooks_outbound.action_webhook_outbound_delivery")

        self.assertEqual(
            {"search_default_not_done": 1, "search_default_group_by_day": 1},
            literal_eval(action.context),
        )
        arch = self.env[DELIVERY].get_view(view_type="list")["arch"]
        self.assertIn('expand="1"', arch)


@tagged("post_install", "-at_install")
class TestArchivedBackend(ConnectorCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.backend.active = False

    def gate(self, result):
        """Let the backend's gate return this; returns the list of its calls."""
        called = []

        def check(backend, delivery):
            called.append(delivery.id)
            return result

        self.patch(type(self.backend), "_check_outbound_dispatch_allowed", check)
        return called

    def processed(self, **values):
        delivery = self.deliver({"a": 1}, **values)
        delivery.process_delivery()
        return delivery

    def test_its_gate_decides(self):
        """Cancel cancels, dead letter and done end it, retry tries it again later.

        The delivery went to error with "is archived", whatever the gate said.
        """
        for status, state in (
            ("cancel", "canceled"),
            ("dead_letter", "dead_letter"),
            ("done", "done"),
            ("retry", "error"),
        ):
            with self.subTest(status):
                called = self.gate({"status": status, "note": "closed", "seconds": 60})

                delivery = self.processed()

                self.assertEqual([delivery.id], called)
                self.assertEqual(state, delivery.state, delivery.processing_error)
                self.assertIn("closed", delivery.attempt_ids.processing_note)
                self.assertEqual(status == "retry", bool(delivery.next_attempt_at))

    def test_its_gate_comes_before_anything_else(self):
        """A request that can't be built doesn't keep the gate from canceling it."""
        self.gate(False)
        self.endpoint.target_path = "/orders/{order_id}"
        self.backend.api_base_url = False

        self.assertEqual("canceled", self.processed().state)

    def test_a_gate_that_lets_it_go(self):
        """Nothing is sent for an archived backend, and a user reads why."""
        self.patch(
            type(self.backend),
            "_handle_outbound_webhook_delivery",
            lambda *args: self.fail("the hook of an archived backend was called"),
        )
        for result in (None, True, {"status": "send"}):
            with self.subTest(result):
                self.gate(result)

                delivery = self.processed()

                self.assertEqual("error", delivery.state)
                self.assertIn("My Shop is archived", delivery.processing_error)
                self.assertFalse(delivery.next_attempt_at)

    def test_a_response_after_it_was_archived(self):
        """A response to an earlier request arrives later: the backend gets it."""
        self.backend.active = True
        heard = []
        self.patch(
            type(self.backend),
            "_handle_outbound_webhook_response",
            lambda _self, delivery, *args, **kwargs: heard.append(delivery.id),
        )
        delivery = self.deliver({"a": 1})
        self.backend.active = False

        delivery._handle_outbound_response(None, "done", None)

        self.assertEqual([delivery.id], heard)


@tagged("post_install", "-at_install")
class TestImmutableRequest(ConnectorCase):
    @mute_logger("odoo.addons.bwt_webhooks_outbound.lane.batch")
    def test_a_handler_that_writes_into_the_request(self):
        """The delivery ends in error, and the error names with_overrides.

        The change was sent or lost, depending on what had been encoded before.
        """

        def into_payload(backend, delivery, request):
            request.payload["order"]["lines"].append({"sku": "B"})

        def into_headers(backend, delivery, request):
            request.headers["X-New"] = "1"

        for hook in (into_payload, into_headers):
            with self.subTest(hook.__name__):
                self.patch(
                    type(self.backend), "_handle_outbound_webhook_delivery", hook
                )
                delivery = self.deliver({"order": {"lines": [{"sku": "A"}]}})

                delivery.process_delivery()

                self.assertEqual("error", delivery.state)
                self.assertIn("with_overrides", delivery.processing_error)

    def test_a_handler_that_builds_on_the_request(self):
        """What it returns, made from the request, is sent."""

        def hook(backend, delivery, request):
            return {"payload": {**request.payload, "n": len(request.payload["order"])}}

        self.patch(type(self.backend), "_handle_outbound_webhook_delivery", hook)

        outcome = self.handler_outcome({"order": {"lines": [1]}})

        self.assertEqual({"order": {"lines": [1]}, "n": 1}, outcome.request.payload)
        with self.assertRaises(TypeError):
            outcome.request.payload["order"]["lines"].append(2)

    def test_refusals_are_validation_errors(self):
        """Code that catches ValidationError catches every refusal of queueing."""
        with self.assertRaises(ValidationError):
            self.backend.queue_outbound_delivery(self.env[ENDPOINT], "x")
