# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The dialogs that export and import configuration."""

import base64
import json

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from ..constants import EXPORT_CONFIGURATION as EXPORT
from ..constants import IMPORT_CONFIGURATION as IMPORT
from .configuration_case import ConfigurationCase


@tagged("post_install", "-at_install")
class TestConfigurationDialogs(ConfigurationCase):
    def setUp(self):
        super().setUp()
        self.endpoint = self.make_all()

    def dialog(self, document, **values):
        if not isinstance(document, str):
            document = json.dumps(document)
        return self.env[IMPORT].create(
            {
                "document": base64.b64encode(document.encode()),
                "company_id": self.company.id,
                **values,
            }
        )

    def test_export_of_selected_endpoints(self):
        action = self.endpoint.action_export_configuration()
        export = Form(self.env[EXPORT].with_context(**action["context"])).save()

        download = export.action_download()

        self.assertEqual(self.endpoint, export.endpoint_ids)
        self.assertIn(f"/{export.id}/content?download=true", download["url"])
        text = base64.b64decode(export.content).decode()
        self.assertEqual(self.endpoint.export_configuration(), text)

    def test_difference_then_import(self):
        document = self.document()
        document["endpoints"][0]["note"] = "<b>bold</b>"
        document["endpoints"].append({"code": "new", "name": "New"})
        dialog = self.dialog(document)

        dialog.action_check()

        self.assertEqual("checked", dialog.state)
        self.assertIn("New: 1, Changed: 1, Unchanged: 2", dialog.difference)
        self.assertIn("&lt;b&gt;bold&lt;/b&gt;", dialog.difference)
        self.assertIn("It arrives in draft.", dialog.difference)
        self.assertFalse(self.endpoint.note)
        dialog.action_import()
        self.assertEqual("done", dialog.state)
        self.assertEqual("<b>bold</b>", self.endpoint.note)

    def test_only_what_was_shown_is_imported(self):
        document = self.document()
        document["endpoints"][0]["note"] = "Moved"
        dialog = self.dialog(document)
        dialog.action_check()
        self.endpoint.note = "Changed by another user"

        with self.assertRaisesRegex(UserError, "has changed since"):
            dialog.action_import()

        dialog.action_back()
        self.assertEqual(("upload", False), (dialog.state, dialog.digest))
        self.assertEqual("Changed by another user", self.endpoint.note)

    def test_what_is_removed_is_said_before(self):
        document = self.document()
        del document["endpoints"][0]["header_rule_ids"][0]
        document["server_actions"] = []
        kept, removed = self.dialog(document), self.dialog(document, delete=True)

        kept.action_check()
        removed.action_check()

        self.assertIn("only here, it stays", kept.difference)
        self.assertIn("It stays as it is.", kept.difference)
        self.assertIn("only here, it is deleted", removed.difference)
        self.assertIn("It is deleted.", removed.difference)

    def test_without_a_document(self):
        with self.assertRaisesRegex(UserError, "Choose a file"):
            self.env[IMPORT].create({"company_id": self.company.id}).action_check()
