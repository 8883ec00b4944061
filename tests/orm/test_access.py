# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may do what: users queue, operators press buttons, nobody calls the rest."""

from odoo.exceptions import AccessError
from odoo.service.model import call_kw, get_public_method
from odoo.tests import new_test_user, tagged

from ..constants import (
    ADMINISTRATOR,
    ATTEMPT,
    CONTEXT_LINE,
    DELIVERY,
    ENDPOINT,
    GROUP_ADMIN,
    GROUP_OPERATOR,
    HANDLER,
    HEALTH,
)
from .access_matrix import ORM_METHODS
from .common import OutboundCase

BUTTONS = (
    ("action_queue_delivery", "draft"),
    ("action_send_now", "queued"),
    ("action_retry_now", "error"),
    ("action_reset_to_draft", "error"),
    ("action_cancel_delivery", "error"),
    ("action_dead_letter", "error"),
    ("action_create_replay_delivery", "done"),
)


@tagged("post_install", "-at_install")
class TestAccess(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = new_test_user(cls.env, "o_plain", "base.group_user")
        cls.operator = new_test_user(cls.env, "o_operator", GROUP_OPERATOR)
        cls.admin = new_test_user(cls.env, "o_admin", GROUP_ADMIN)
        cls.portal = new_test_user(cls.env, "o_portal", "base.group_portal")
        cls.company = cls.env["res.company"].create({"name": "Other"})
        cls.stranger = new_test_user(
            cls.env,
            "o_stranger",
            ADMINISTRATOR,
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )

    def test_a_plain_user_queues(self):
        """A salesperson's order queues though they see no delivery; theirs is the name.

        Code of any addon calls it in the user's own environment.
        """
        endpoint = self.endpoint.with_user(self.plain)
        self.env.invalidate_all()

        delivery = endpoint.queue_delivery(
            {"a": 1}, {"k": 1}, files={"doc": {"content": b"x"}}
        )

        self.assertEqual(self.plain.id, delivery.env.uid)
        self.assertFalse(delivery.env.su)
        self.assertEqual(self.plain, delivery.sudo().create_uid)
        self.assertEqual(1, self.wake_ups().user_id.id)
        with self.assertRaises(AccessError):
            delivery.read(["name"])

    def test_a_plain_user_reads_the_name_and_no_more(self):
        """Name, code, state and company of an endpoint, not where it sends or how."""
        endpoint = self.endpoint.with_user(self.plain)

        self.assertEqual("orders", endpoint.read(["name", "code", "state"])[0]["code"])
        for name in ("target_hostname", "handler_id", "retry_schedule", "is_paused"):
            with self.subTest(name=name), self.assertRaises(AccessError):
                endpoint.read([name])
        for model in (DELIVERY, ATTEMPT, CONTEXT_LINE, HEALTH, HANDLER):
            with self.subTest(model=model), self.assertRaises(AccessError):
                self.env[model].with_user(self.plain).search([])

    def test_who_may_not_read_the_endpoint_may_not_queue(self):
        """Another company's user and a portal user get an AccessError, no delivery."""
        before = self.env[DELIVERY].search_count([])
        for user in (self.stranger, self.portal):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                self.endpoint.with_user(user).queue_delivery({"a": 1})
        self.assertEqual(before, self.env[DELIVERY].search_count([]))

    def test_operators_press_the_buttons(self):
        """Each button works for an operator, though they may write no field."""
        for button, state in BUTTONS:
            with self.subTest(button=button):
                delivery = self.in_state(state).with_user(self.operator)
                getattr(delivery, button)()
                self.in_state(state).with_user(self.operator).action_bulk("replay")

    def test_plain_users_press_none(self):
        """The server checks the group: a hidden button can be called all the same."""
        for button, state in BUTTONS:
            with self.subTest(button=button):
                delivery = self.in_state(state)
                for user in (self.plain, self.portal):
                    with self.assertRaises(AccessError):
                        getattr(delivery.with_user(user), button)()
                with self.assertRaises(AccessError):
                    delivery.with_user(self.plain).action_bulk("cancel")
                self.assertEqual(state, delivery.state)

    def test_buttons_stop_at_the_company(self):
        """An administrator of another company neither sees nor moves a delivery."""
        delivery = self.in_state("error")
        theirs = delivery.with_user(self.stranger)

        self.assertFalse(theirs.search([("id", "=", delivery.id)]))
        for button, _state in BUTTONS:
            with self.subTest(button=button), self.assertRaises(AccessError):
                getattr(theirs, button)()
        with self.assertRaises(AccessError):
            theirs.action_bulk("cancel")
        self.assertEqual("error", delivery.state)

    def test_company_rules(self):
        """No record of ours shows to another company, and none can be made for it."""
        delivery = self.queue({"a": 1}, {"k": 1})
        delivery.process_delivery()
        for records in (
            self.endpoint,
            delivery,
            delivery.attempt_ids,
            delivery.context_line_ids,
            self.endpoint.health_ids,
        ):
            model = self.env[records._name].with_user(self.stranger)
            with self.subTest(model=records._name):
                self.assertTrue(records)
                self.assertFalse(model.search([("id", "in", records.ids)]))
        with self.assertRaises(AccessError):
            self.env[DELIVERY].with_user(self.stranger).create(
                {"endpoint_id": self.endpoint.id}
            )

    def test_operators_write_nothing(self):
        """An operator can't change what is sent or where, nor the record of it."""
        delivery = self.in_state("error").with_user(self.operator)
        endpoint = self.endpoint.with_user(self.operator)
        for records, vals in (
            (delivery, {"payload_json": "{}"}),
            (delivery, {"state": "done"}),
            (endpoint, {"target_hostname": "http://elsewhere"}),
            (endpoint, {"is_paused": True}),
        ):
            with self.subTest(vals=vals), self.assertRaises(AccessError):
                records.write(vals)
        with self.assertRaises(AccessError):
            delivery.unlink()
        with self.assertRaises(AccessError):
            delivery.create({"endpoint_id": endpoint.id})
        for button in ("action_archive", "action_set_draft", "action_send_test"):
            with self.subTest(button=button), self.assertRaises(AccessError):
                getattr(endpoint, button)()

    def test_attempts_and_health_are_the_lanes(self):
        """Nobody writes the trace of what was sent, administrators neither."""
        delivery = self.queue({"a": 1})
        delivery.process_delivery()
        for records in (delivery.attempt_ids, self.endpoint.health_ids):
            with self.subTest(model=records._name):
                with self.assertRaises(AccessError):
                    records.with_user(self.admin).write({"endpoint_id": False})
                with self.assertRaises(AccessError):
                    records.with_user(self.admin).unlink()

    def test_only_actions_can_be_called_from_outside(self):
        """Every public method of ours that isn't `action_*` is closed to RPC.

        `queue_delivery` over RPC would send to a target with the server's secrets.
        """
        call = {"queue_delivery": [[self.endpoint.id], {"a": 1}]}
        with self.assertRaises(AccessError):
            call_kw(self.env[ENDPOINT], "queue_delivery", call["queue_delivery"], {})
        orm = {*ORM_METHODS, "copy"}
        ours = [
            name
            for name in self.env
            if name.startswith(("bwt.webhook.", "bwt.connector.webhook."))
        ]
        self.assertIn(DELIVERY, ours)
        closed = set()
        for model_name in ours:
            model = self.env[model_name]
            for name in self._own_methods(type(model)):
                if name.startswith(("_", "action_")) or name in orm:
                    continue
                with self.subTest(model=model_name, method=name):
                    with self.assertRaises(AccessError):
                        get_public_method(model, name)
                    closed.add(name)
        self.assertLessEqual(
            {"queue_delivery", "queue_deliveries", "run_lane", "process_delivery"},
            closed,
        )

    def _own_methods(self, cls):
        """Names of the methods that this addon's classes define."""
        for each in cls.__mro__:
            if each.__module__.startswith("odoo.addons.bwt_webhooks_outbound."):
                for name, value in vars(each).items():
                    if callable(getattr(value, "__func__", value)) and hasattr(
                        getattr(value, "__func__", value), "__code__"
                    ):
                        yield name

    def test_administrators_configure(self):
        """An administrator of webhooks, no other right needed, sets it all up."""
        endpoint = (
            self.env[ENDPOINT]
            .with_user(self.admin)
            .create(
                {
                    "name": "Mine",
                    "code": "mine",
                    "target_hostname": self.receiver.url,
                    "header_rule_ids": [
                        (0, 0, {"header_name": "X-A", "literal_value": "1"})
                    ],
                }
            )
        )
        draft = endpoint.env[DELIVERY].create(
            {"endpoint_id": endpoint.id, "payload_json": '{"a": 1}'}
        )
        draft.action_queue_delivery()
        self.assertEqual("closed", endpoint.circuit_state)
        draft.action_cancel_delivery()
        endpoint.action_pause()
        endpoint.action_resume()
        endpoint.action_reset_circuit()
        endpoint.copy()
        endpoint.unlink()
        self.assertFalse(draft.exists())
