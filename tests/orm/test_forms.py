# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every form of this addon, opened as a browser opens it, with every choice taken."""

from contextlib import contextmanager, suppress

from odoo.exceptions import UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.bwt_webhooks_outbound.models.ir_actions_server import STATE

from ..constants import (
    ADMINISTRATOR,
    ATTEMPT,
    DELIVERY,
    ENDPOINT,
    HANDLER,
    OPERATOR,
    RECOVER,
    SECRET,
    SEND_TEST,
)
from .request_case import RequestCase

MODULE = "bwt_webhooks_outbound"
# A dialog that is opened for an endpoint, never by itself.
OF_ENDPOINT = {
    SEND_TEST,
    RECOVER,
    SECRET,
}
READ_ONLY = {ATTEMPT}
CHOICES = ("selection", "boolean")
# Odoo's own sample of a payload reads the table of a model that has none.
NOT_OURS = {("ir.cron", "webhook")}


class Undone(Exception):
    """Ends a try: what it saved is undone."""


@tagged("post_install", "-at_install", "other_addons")
class TestForms(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.handler_record = cls.env[HANDLER].create(
            {
                "name": "Forms",
                "code": "forms",
                "outbound_rule_ids": [
                    (
                        0,
                        0,
                        {
                            "name": "All",
                            "condition_ids": [(0, 0, {"source_expression": "name"})],
                            "assignment_ids": [
                                (0, 0, {"target_expression": "a", "literal_value": "1"})
                            ],
                        },
                    )
                ],
            }
        )
        rules = {
            "header_rule_ids": [(0, 0, {"header_name": "X-A", "literal_value": "1"})],
            "payload_rule_ids": [(0, 0, {"target_path": "a", "literal_value": "1"})],
            "answer_rule_ids": [(0, 0, {"statuses": "409"})],
            "answer_value_ids": [
                (0, 0, {"source_expression": "id", "target_kind": "external_id"})
            ],
        }
        cls.endpoint.write({"handler_id": cls.handler_record.id, **rules})
        cls.endpoint._set_external_ref(cls.endpoint.company_id, "R-1")
        cls.delivery = cls.env[DELIVERY].create(
            {
                "endpoint_id": cls.endpoint.id,
                "context_line_ids": [
                    (0, 0, {"key_name": "order_id", "literal_value": "1"})
                ],
            }
        )

    def forms(self):
        """(view, model) of every form that this addon defines or extends.

        But for Odoo's page of settings: saving it for each choice of all addons takes
        half an hour, and test_settings covers ours.
        """
        names = self.env["ir.model.data"].search(
            [("module", "=", MODULE), ("model", "=", "ir.ui.view")]
        )
        views = self.env["ir.ui.view"].browse(names.mapped("res_id"))
        return [
            (view if view.mode == "primary" else view.inherit_id, self.env[view.model])
            for view in views.filtered(lambda each: each.type == "form")
            if view.model != "res.config.settings"
        ]

    def test_new(self):
        """A form for a new record opens and takes every value of every choice.

        Choosing OAuth2 on an endpoint that isn't saved yet ended in a traceback.
        """
        opened = set()
        for view, model in self.forms():
            if model._name in READ_ONLY:
                continue
            model = model.with_context(**self.parents(model))
            self.take_every_choice(lambda m=model, v=view: Form(m, v), model._name)
            opened.add(model._name)
        self.assertLessEqual({ENDPOINT, HANDLER, DELIVERY, *OF_ENDPOINT}, opened)

    @mute_logger("odoo.domains")  # Odoo's own form of server actions
    def test_saved(self):
        """The form of a saved record does so too; saving never ends in a traceback."""
        records = {
            ENDPOINT: self.endpoint,
            HANDLER: self.handler_record,
            DELIVERY: self.delivery,
            "ir.actions.server": self.env["ir.actions.server"].create(
                {
                    "name": "Forms",
                    "model_id": self.env.ref("base.model_res_partner").id,
                    "state": STATE,
                    "bwt_webhook_endpoint_id": self.endpoint.id,
                }
            ),
        }
        for name in OF_ENDPOINT:
            records[name] = self.env[name].create({"endpoint_id": self.endpoint.id})
        for view, model in self.forms():
            record = records.get(model._name) or model.search([], limit=1)
            self.take_every_choice(lambda r=record, v=view: Form(r, v), model._name)

    def test_empty_lists_offer_what_users_may_do(self):
        """Administrators see a button for the first step, operators don't.

        Operators would fill in a form that they can't save.
        """
        for number, (groups, is_offered) in enumerate(
            [(ADMINISTRATOR, True), (OPERATOR, False)]
        ):
            user = new_test_user(self.env, f"forms-{number}", groups)
            actions = self.env["ir.actions.act_window"].with_user(user)
            for name in (
                "action_webhook_outbound_endpoint",
                "action_webhook_handler",
            ):
                with self.subTest(name, groups=groups):
                    action = actions._for_xml_id(f"{MODULE}.{name}")

                    self.assertIn("Create your first", action["help"])
                    self.assertEqual(is_offered, 'type="action"' in action["help"])

    # Its parts

    def parents(self, model):
        """Defaults as a parent's form or button sets them."""
        rule = self.handler_record.outbound_rule_ids
        records = {
            "endpoint_id": self.endpoint,
            "delivery_id": self.delivery,
            "handler_id": self.handler_record,
            "rule_id": rule,
        }
        return {
            f"default_{name}": record.id
            for name, record in records.items()
            if name in model._fields
        }

    def take_every_choice(self, open_form, label):
        """Take each value of each choice that is shown, and of those it reveals."""
        opened = open_form()
        for name in self.choices(opened):
            for value in self.values(opened, name):
                if (label, value) in NOT_OURS:
                    continue
                with self.subTest(label, field=name, value=value), self.undone():
                    form = open_form()
                    if not self.is_open(form, name):
                        continue
                    before = set(self.choices(form))
                    form[name] = value
                    for revealed in set(self.choices(form)) - before - {name}:
                        for each in self.values(form, revealed):
                            if self.is_open(form, revealed):
                                form[revealed] = each
                    self.save(form)
        for name in self.lists(opened):
            with self.subTest(label, lines=name):
                self.take_every_choice_of_lines(open_form, name)

    def take_every_choice_of_lines(self, open_form, name):
        form = open_form()
        lines = form[name]
        positions = [None, *range(len(lines))][:2]
        for position in positions:
            with lines.new() if position is None else lines.edit(position) as line:
                for field in self.choices(line):
                    for value in self.values(line, field):
                        if self.is_open(line, field):
                            line[field] = value
                # It may lack what is required: the line is checked, not kept.
                for field in line._view["fields"]:
                    self.fill(line, field)
            if position is None:
                lines.remove(len(lines) - 1)

    def fill(self, line, field):
        info = line._view["fields"][field]
        needed = info["type"] in ("char", "text") and not line[field]
        if (
            needed
            and line._get_modifier(field, "required")
            and self.is_open(line, field)
        ):
            line[field] = "name"

    def save(self, form):
        """Save it where that is allowed; a refusal has a message, never a traceback."""
        # AssertionError: the form lacks what is required.
        with suppress(UserError, AssertionError):
            form.save()
            self.env.flush_all()

    @contextmanager
    def undone(self):
        """What the block wrote is rolled back, also after an error of the database."""
        try:
            with suppress(Undone), self.env.cr.savepoint():
                yield
                raise Undone
        finally:
            self.env.invalidate_all(flush=False)

    def choices(self, form):
        return [
            name
            for name, info in form._view["fields"].items()
            if info["type"] in CHOICES and self.is_open(form, name)
        ]

    def lists(self, form):
        return [
            name
            for name, info in form._view["fields"].items()
            if info["type"] == "one2many" and self.is_open(form, name)
        ]

    def values(self, form, name):
        info = form._view["fields"][name]
        if info["type"] == "boolean":
            return (True, False)
        return [value for value, _label in info["selection"]]

    def is_open(self, form, name):
        return not (
            form._get_modifier(name, "readonly")
            or form._get_modifier(name, "invisible")
        )
