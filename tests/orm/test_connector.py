# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A connector of some sixty lines (tests/addons), used as the guide says."""

from odoo.tests import Form, tagged

from ..constants import CONNECTOR_MIXIN, ENDPOINT
from ..receiver import Receiver, status
from .request_case import RequestCase, assignment


@tagged("post_install", "-at_install")
class TestConnector(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("test.oca.backend")
        cls.receiver = cls.enterClassContext(Receiver())
        cls.backend = cls.env["shop.backend"].create(
            {"name": "My Shop", "token": "t0", "api_base_url": cls.receiver.url}
        )
        cls.endpoint = cls.env[ENDPOINT].create(
            {
                "name": "Orders",
                "code_suffix": "Orders",
                "connector_backend_ref": cls.backend._get_connector_backend_reference(),
                "target_path": "/orders",
            }
        )
        cls.endpoint.code_suffix = "orders"
        cls.binding = cls.env["shop.binding"].create(
            {"name": "SO1", "backend_id": cls.backend.id}
        )

    def setUp(self):
        super().setUp()
        self.receiver.clear()

    def test_names(self):
        """Codes are made from the backend; the mixin offers its models."""
        self.assertEqual("my-shop", self.backend.code)
        self.assertEqual(f"shop.backend-{self.backend.id}-orders", self.endpoint.code)
        self.assertEqual(self.endpoint, self.backend.outbound_endpoint_id)
        self.assertEqual(self.endpoint, self.backend.get_outbound_endpoint())
        models = dict(self.endpoint._selection_connector_backend_ref())
        self.assertIn("shop.backend", models)
        self.assertIn("test.oca.backend", models)
        self.assertNotIn(CONNECTOR_MIXIN, models)
        with self.refused("has no code"):
            self.backend.code = "--"

    def test_url_follows_the_backend(self):
        """The URL that the endpoint shows begins with the backend's base URL."""
        self.backend.api_base_url = "https://shop.example.com/api/v2/"
        self.assertEqual(
            "https://shop.example.com/api/v2/orders", self.endpoint.target_url
        )
        self.assertEqual(
            "https://shop.example.com/api/v2/orders", self.built().target_url
        )

    def test_backend_that_is_gone(self):
        """A deleted backend, or one whose addon was deleted, stops with a message."""
        self.binding.unlink()
        self.backend.unlink()
        with self.refused("was deleted"):
            self.handler_outcome()
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_endpoint "
            "SET connector_backend_ref = 'no.model,1' WHERE id = %s",
            [self.endpoint.id],
        )
        self.env.invalidate_all()
        with self.refused("no.model.*isn't installed"):
            self.handler_outcome()

    def test_code_is_shown_while_typing(self):
        """The form fills in the code that suffix and backend make."""
        with Form(self.env[ENDPOINT]) as form:
            form.name = "Stock"
            form.target_hostname = "https://shop.example.com"
            form.code_suffix = "Stock Level"
            self.assertEqual("stock-level", form.code)
            form.connector_backend_ref = self.backend
            self.assertEqual(f"shop.backend-{self.backend.id}-stock-level", form.code)

    def test_suffix_without_backend(self):
        """A suffix alone is the code; it is made again when the backend is set."""
        endpoint = self.env[ENDPOINT].create(
            {"name": "X", "code_suffix": "Stock Level", "state": "draft"}
        )
        self.assertEqual("stock-level", endpoint.code)
        endpoint.connector_backend_ref = self.backend
        self.assertEqual(f"shop.backend-{self.backend.id}-stock-level", endpoint.code)
        taken = f'Code "shop.backend-{self.backend.id}-stock-level" is already used'
        with self.refused(taken):
            self.endpoint.write({"code_suffix": "Stock Level", "code": "other"})

    def test_export_writes_back_the_id(self):
        """Host and token come from the backend; the binding gets the response's id."""
        self.receiver.script("/orders", status(201, headers=(("X-Shop-Id", "S-77"),)))
        delivery = self.backend.export_binding(self.binding)

        delivery.process_delivery()

        [request] = self.receiver.wait_for_requests(1, path="/orders")
        self.assertEqual("Bearer t0", request.header("Authorization"))
        self.assertEqual(b'{"name": "SO1"}', request.body)
        self.assertEqual("done", delivery.state, delivery.processing_error)
        self.assertEqual("S-77", self.binding.external_id, delivery.processing_note)
        self.assertEqual("export", self.binding.last_operation)

    def test_gate_comes_before_the_handler(self):
        """A closed shop is retried later, regardless of the handler."""
        self.backend.is_closed = True
        self.handler({"result_status": "cancel"})

        outcome = self.handler_outcome()

        self.assertEqual(("retry", 120), (outcome.status, outcome.seconds))
        self.assertEqual("the shop is closed", outcome.note)

    def test_backend_headers_win(self):
        """Rules < handler < the backend."""
        self.header("authorization", literal="rule")
        self.handler(
            {"assignment_ids": [assignment("header", "AUTHORIZATION", "handler")]}
        )
        self.assertEqual(
            {"Authorization": "Bearer t0"}, self.handler_outcome().request.headers
        )

    def test_inactive_backend_stops_with_a_message(self):
        """A user reads why nothing is sent, not a traceback."""
        self.backend.active = False
        with self.refused(r"Orders.*My Shop is archived"):
            self.handler_outcome()
        delivery = self.deliver()
        delivery.process_delivery()
        self.assertEqual("error", delivery.state)
        self.assertIn("archived", delivery.processing_error)
        self.assertFalse(delivery.next_attempt_at)

    def test_queueing_checks_the_link(self):
        """An endpoint of another backend is refused; a draft may be left."""
        other = self.backend.copy({"name": "Other"})
        with self.refused("isn't linked"):
            other.queue_outbound_delivery(self.endpoint, "x")
        with self.refused("no outbound endpoint"):
            other.get_outbound_endpoint()
        self.assertFalse(other.get_outbound_endpoint(required=False))
        draft = self.backend.queue_outbound_delivery(
            self.endpoint, "Draft", {"a": 1}, {"H": "1"}, {"k": "42"}, auto_queue=False
        )
        self.assertEqual("draft", draft.state)
        self.assertEqual({"k": "42"}, draft._get_context_values())

    def test_binding(self):
        """Gone, unknown and foreign bindings return nothing."""
        resolve = self.backend.resolve_outbound_delivery_binding

        def delivery(model, record_id):
            return self.deliver(
                context_lines={"binding_model": model, "binding_id": record_id}
            )

        mine = delivery(self.binding._name, self.binding.id)
        self.assertEqual(self.binding, resolve(mine))
        self.assertEqual(self.binding, resolve(mine, "shop.binding"))
        self.assertFalse(resolve(mine, "res.partner"))
        self.assertFalse(resolve(delivery("no.model", 1)))
        self.assertFalse(resolve(delivery(self.binding._name, 0)))
        self.assertFalse(resolve(self.deliver()))
        other = self.backend.copy({"name": "Other"})
        self.assertFalse(other.resolve_outbound_delivery_binding(mine))

    def test_company_of_the_backend(self):
        """Endpoint and backend belong to one company."""
        company = self.env["res.company"].create({"name": "Other"})
        backend = self.backend.copy({"name": "Other", "company_id": company.id})
        with self.refused("another company"):
            self.endpoint.connector_backend_ref = backend

    def test_views(self):
        """The button opens one endpoint, a list of several, or says there is none."""
        action = self.backend.action_view_outbound_endpoint()
        self.assertEqual(self.endpoint.id, action["res_id"])
        self.env[ENDPOINT].create(
            {
                "name": "Stock",
                "code_suffix": "stock",
                "connector_backend_ref": f"{self.backend._name},{self.backend.id}",
            }
        )
        action = self.backend.action_view_outbound_endpoint()
        self.assertEqual("list,kanban,form", action["view_mode"])
        with self.refused("several"):
            self.backend.get_outbound_endpoint()
        self.assertEqual(
            self.endpoint, self.backend.get_outbound_endpoint(code_suffix="orders")
        )

    def test_backend_on_top_of_oca_connector(self):
        """A model that also inherits OCA's `connector.backend` works the same."""
        backend = self.env["test.oca.backend"].create(
            {"name": "Oca", "token": "t1", "api_base_url": self.receiver.url}
        )
        endpoint = self.env[ENDPOINT].create(
            {
                "name": "Oca orders",
                "code_suffix": "orders",
                "connector_backend_ref": backend._get_connector_backend_reference(),
                "target_path": "/oca",
            }
        )
        delivery = backend.queue_outbound_delivery(endpoint, "Oca", {"a": 1})

        delivery.process_delivery()

        [request] = self.receiver.wait_for_requests(1, path="/oca")
        self.assertEqual("Bearer t1", request.header("Authorization"))
        self.assertEqual("done", delivery.state, delivery.processing_error)
