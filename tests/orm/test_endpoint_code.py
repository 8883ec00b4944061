# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The code of an endpoint: stable under its backend, unique, refused with a message."""

from tempfile import NamedTemporaryFile

from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged
from odoo.tools import convert_xml_import, mute_logger

from ..constants import ENDPOINT, HANDLER
from .common import CommittedCase
from .request_case import RequestCase


class CodeCase(RequestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("shop.backend")
        cls.backend = cls.env["shop.backend"].create({"name": "My Shop"})
        cls.other = cls.env["shop.backend"].create({"name": "Other Shop"})
        cls.made = f"shop.backend-{cls.backend.id}-orders"

    def values(self, **vals):
        return {"name": "Orders", "state": "draft", **vals}

    def linked(self, **vals):
        """An endpoint of the backend with a suffix."""
        return self.env[ENDPOINT].create(
            self.values(
                code_suffix="Orders",
                connector_backend_ref=f"shop.backend,{self.backend.id}",
                **vals,
            )
        )


@tagged("post_install", "-at_install")
class TestEndpointCode(CodeCase):
    def test_backend_and_suffix_win(self):
        """Whatever is written as code, when it is made and afterwards.

        A connector looks its endpoint up by backend and suffix; a written code took
        the endpoint from under it.
        """
        endpoint = self.linked(code="written")
        self.assertEqual(self.made, endpoint.code)

        endpoint.write({"code": "written"})
        self.assertEqual(self.made, endpoint.code)
        endpoint.write({"code": "written", "code_suffix": "orders"})
        self.assertEqual(self.made, endpoint.code)
        endpoint.write({"code": "written", "code_suffix": "Stock Level"})
        self.assertEqual(f"shop.backend-{self.backend.id}-stock-level", endpoint.code)
        endpoint.write({"code": "written", "connector_backend_ref": self.other})
        self.assertEqual(f"shop.backend-{self.other.id}-stock-level", endpoint.code)

    def test_data_file_loaded_again(self):
        """Each update of a connector loads its data again: the code stays.

        Whether the file names code, suffix or both, and though a user linked the
        backend or took it off in between.
        """
        for names in (("code",), ("code_suffix",), ("code", "code_suffix")):
            with self.subTest(names):
                fields = {"code": "shop-orders-file", "code_suffix": "orders"}
                self.load({name: fields[name] for name in names})
                endpoint = self.env.ref("bwt_test_connector.code_endpoint")
                endpoint.write(
                    {"code_suffix": "Orders", "connector_backend_ref": self.backend}
                )
                self.assertEqual(self.made, endpoint.code)

                self.load({name: fields[name] for name in names})

                self.assertEqual(self.made, endpoint.code)
                if "code" not in names:
                    endpoint.connector_backend_ref = False
                    self.load({name: fields[name] for name in names})
                    self.assertEqual(self.made, endpoint.code)
                endpoint.unlink()

    def load(self, fields):
        """A data file as an update of the addon reads it."""
        lines = "".join(
            f'<field name="{name}">{value}</field>' for name, value in fields.items()
        )
        text = (
            '<odoo><record id="code_endpoint" model="bwt.webhook.outbound.endpoint">'
            '<field name="name">File</field><field name="state">draft</field>'
            f"{lines}</record></odoo>"
        )
        with NamedTemporaryFile(suffix=".xml") as file:
            file.write(text.encode())
            file.seek(0)
            convert_xml_import(self.env, "bwt_test_connector", file, {}, mode="update")
        self.env.invalidate_all()

    def test_backend_taken_off(self):
        """The code stays, so that code which searches for it still finds it."""
        endpoint = self.linked()

        endpoint.connector_backend_ref = False
        self.assertEqual(self.made, endpoint.code)
        endpoint.code_suffix = False
        self.assertEqual(self.made, endpoint.code)
        endpoint.code = "by-hand"
        self.assertEqual("by-hand", endpoint.code)
        endpoint.write({"connector_backend_ref": self.backend, "code_suffix": "orders"})
        self.assertEqual(self.made, endpoint.code)
        endpoint.code_suffix = False
        self.assertEqual(self.made, endpoint.code)

    def test_prefix_that_changes(self):
        """A backend that is named differently leaves the codes that are known."""
        endpoint = self.linked()
        cls = type(self.backend)
        self.patch(cls, "_get_technical_prefix", lambda backend: " My Shop! ")

        endpoint.write({"code": "written", "code_suffix": "orders"})
        self.assertEqual(self.made, endpoint.code)

        endpoint.code_suffix = "stock"
        self.assertEqual("my-shop-stock", endpoint.code)

    def test_form(self):
        """The form shows the code that will be saved, and doesn't let it be written."""
        endpoint = self.linked()

        with Form(endpoint) as form:
            self.assertTrue(form._get_modifier("code", "readonly"))
            form.code_suffix = "stock"
            self.assertEqual(f"shop.backend-{self.backend.id}-stock", form.code)
            form.code_suffix = "orders"
            self.assertEqual(self.made, form.code)
            form.connector_backend_ref = False
            self.assertEqual(self.made, form.code)
            self.assertFalse(form._get_modifier("code", "readonly"))

        self.assertEqual(self.made, endpoint.code)

    def test_codes_of_many(self):
        """One write over several linked endpoints leaves each its code."""
        endpoints = self.linked() | self.env[ENDPOINT].create(
            self.values(code_suffix="stock", connector_backend_ref=self.backend)
        )
        before = endpoints.mapped("code")

        endpoints.write({"code": "same", "note": "x"})

        self.assertEqual(before, endpoints.mapped("code"))
        self.assertEqual(["x", "x"], endpoints.mapped("note"))

    @mute_logger("odoo.sql_db")
    def test_taken_code(self):
        """Refused with a message, not a UniqueViolation; the transaction continues.

        By create, write, suffix, backend, several at once, of endpoints and handlers.
        """
        endpoint = self.linked()
        second = self.env[ENDPOINT].create(self.values(code="second"))
        handler = self.env[HANDLER].create({"name": "H", "code": "taken"})
        handler.active = False
        create = self.env[ENDPOINT].create
        ways = {
            "create": lambda: create(self.values(code=self.made)),
            "create twice": lambda: create([self.values(code="twice")] * 2),
            "create linked": self.linked,
            "write": lambda: second.write({"code": self.made}),
            "write many": lambda: (self.endpoint | second).write({"code": "same"}),
            "suffix": lambda: second.write(
                {"code_suffix": "orders", "connector_backend_ref": self.backend}
            ),
            "other spelling": lambda: second.write(
                {"code_suffix": "ORDERS!", "connector_backend_ref": self.backend}
            ),
            "copy": lambda: endpoint.copy({"code": self.made}),
            "handler": lambda: self.env[HANDLER].create({"name": "H", "code": "taken"}),
            "handler copy": lambda: handler.copy({"code": "taken"}),
        }

        for name, way in ways.items():
            with self.subTest(name), self.refused("is already used by another"):
                way()
            self.env.flush_all()
            self.assertEqual("second", second.code)
        self.assertEqual(self.made, endpoint.code)

    def test_suffix_without_letters(self):
        """A suffix that makes no code is refused by name, not by the database."""
        for vals in (
            {"code_suffix": "???"},
            {"code_suffix": "???", "connector_backend_ref": self.backend},
        ):
            with self.subTest(vals), self.refused(r'"\?\?\?" has no letter'):
                self.env[ENDPOINT].create(self.values(**vals))


@tagged("post_install", "-at_install")
class TestEndpointCodeRace(CommittedCase):
    def test_code_taken_by_another_transaction(self):
        """A code that another transaction used meanwhile is refused with a message.

        Its row can't be seen, so only the database knows.
        """
        values = {"name": "Race", "code": "race", "state": "draft"}
        with self.registry.cursor() as cr:
            env = self.endpoint_env(cr)
            env[ENDPOINT].search([])  # its snapshot is of now
            with self.transaction() as other:
                made = other[ENDPOINT].create(values).id
            self.addCleanup(self.remove, made)

            with self.assertLogs("odoo.sql_db", "ERROR"):
                with self.assertRaisesRegex(ValidationError, '"race" is already used'):
                    env[ENDPOINT].create(values)

            env[ENDPOINT].create({**values, "code": "race-2"})
            cr.rollback()

    def endpoint_env(self, cr):
        with self.transaction() as env:
            return env(cr=cr)

    def remove(self, endpoint_id):
        with self.transaction() as env:
            env[ENDPOINT].browse(endpoint_id).unlink()
