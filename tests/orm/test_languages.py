# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""German, French and Spanish are complete, and fit the texts that they translate."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import polib

from odoo.tests import tagged

from ..constants import DELIVERY, ENDPOINT
from ..receiver import status
from .common import OutboundCase

FOLDER = Path(__file__).resolve().parents[2] / "i18n"
LANGUAGES = {"de": "de_DE", "fr": "fr_FR", "es": "es_ES"}
ADDON = "bwt_webhooks_outbound"
# What a text has in every language: values, markup, code.
FIXED = re.compile(
    r"%\(\w+\)[sdrf]|%[sd]|%%|</?[a-zA-Z][^>]*>|&[a-z]+;|`[^`]*`|https?://[^\s\"<>,;)]*[^\s\"<>,;).]"
)
# Computed texts without words: URLs, code, headers and bodies of requests.
WORDLESS = re.compile(
    r"path_model|(list_)?model_name|\w+_pretty|\w+_input|old_(body|headers|method|url)|"
    r"signing_public_key|curl_command|shown_url|message_ref|chart_24h|"
    r"recent_attempts|latest_queue_job_state"
)
REFUSED = "the receiver refused the request"
SPACE = re.compile(r"^\s*|\s*$")


def read(name):
    return polib.pofile(str(FOLDER / name))


def ends(text):
    return [each.group() for each in SPACE.finditer(text)][:2]


@tagged("post_install", "-at_install", "any_database")
class TestTranslationFiles(OutboundCase):
    """What the files have; a new text fails here until `make pot` and all languages."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.template = [each.msgid for each in read(f"{ADDON}.pot")]

    def each_entry(self):
        for language in LANGUAGES:
            for entry in read(f"{language}.po"):
                yield language, entry

    def test_no_text_is_missing(self):
        self.assertEqual(LANGUAGES.keys(), {path.stem for path in FOLDER.glob("*.po")})
        for language in LANGUAGES:
            entries = read(f"{language}.po")
            with self.subTest(language):
                self.assertEqual(self.template, [each.msgid for each in entries])
                missing = [each.msgid for each in entries if not each.translated()]
                self.assertEqual([], missing)

    def test_values_and_markup_are_those_of_the_text(self):
        """A value that is missing or misspelled would raise where the text is shown."""
        wrong = [
            (language, entry.msgid, entry.msgstr)
            for language, entry in self.each_entry()
            if Counter(FIXED.findall(entry.msgid))
            != Counter(FIXED.findall(entry.msgstr))
        ]
        self.assertEqual([], wrong)

    def test_spaces_at_the_ends(self):
        """Texts that stand before and after a value keep their distance to it."""
        wrong = [
            (language, entry.msgid)
            for language, entry in self.each_entry()
            if ends(entry.msgid) != ends(entry.msgstr)
        ]
        self.assertEqual([], wrong)

    def test_labels_differ(self):
        """Fields of one model, and options of one selection, can be told apart."""
        for language in LANGUAGES:
            known = {each.msgid: each.msgstr for each in read(f"{language}.po")}
            for model in self.env.values():
                if "webhook" not in model._name or model._abstract:
                    continue
                labels = defaultdict(set)
                for field in model._fields.values():
                    if field.string in known:
                        labels[known[field.string]].add(field.string)
                    if isinstance(getattr(field, "selection", None), list):
                        options = {label for _value, label in field.selection}
                        translated = {known.get(each, each) for each in options}
                        with self.subTest(language, field=field):
                            self.assertEqual(len(options), len(translated), options)
                with self.subTest(language, model=model._name):
                    same = [each for each in labels.values() if len(each) > 1]
                    self.assertEqual([], same)


@tagged("post_install", "-at_install", "any_database")
class TestLanguages(OutboundCase):
    """What users read with the languages installed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for code in LANGUAGES.values():
            cls.env["res.lang"]._activate_lang(code)
        cls.env["ir.module.module"]._load_module_terms(
            [ADDON], list(LANGUAGES.values()), overwrite=True
        )

    def known(self, language):
        return {each.msgid: each.msgstr for each in read(f"{language}.po")}

    def test_pages(self):
        """Each view of each model is valid in each language, and is translated."""
        views = self.env["ir.ui.view"].search(
            [
                ("model", "like", "bwt.webhook.outbound.%"),
                ("type", "in", ("form", "list", "kanban", "search")),
                ("mode", "=", "primary"),
            ]
        )
        for language, code in LANGUAGES.items():
            known = self.known(language)
            for view in views:
                with self.subTest(view.xml_id, language=language):
                    model = self.env[view.model].with_context(lang=code)
                    model.get_view(view.id, view.type)
            endpoint = self.env[ENDPOINT].with_context(lang=code)
            self.assertEqual(
                known["Retry Schedule"],
                endpoint.fields_get(["retry_schedule"])["retry_schedule"]["string"],
            )
            arch = endpoint.get_view(view_type="form")["arch"]
            self.assertIn(known["Send Test"], arch)

    def test_computed_texts_depend_on_the_language(self):
        """A text that was computed for one reader isn't shown to the next one."""
        same = [
            f"{model._name}.{field.name}"
            for model in self.env.values()
            if model._name.startswith("bwt.") and not model._abstract
            for field in model._fields.values()
            if field.type in ("char", "text", "html")
            and field.compute
            and not field.related
            and not field.store
            and field.name != "display_name"
            and field._module == ADDON
            and not WORDLESS.fullmatch(field.name)
            and "lang" not in self.env.registry.field_depends_context[field]
        ]
        self.assertEqual([], same)

    def test_stored_and_shown(self):
        """A job stores in the language of the endpoint; a page has the reader's."""
        for language, code in LANGUAGES.items():
            self.receiver.script("/orders", status(400))
            self.endpoint.company_id.partner_id.lang = code
            delivery = self.queue({"a": 1})
            delivery.process_delivery()
            self.assertEqual("dead_letter", delivery.state)
            known = self.known(language)
            stored = delivery.processing_error or ""
            english = delivery.with_context(lang="en_US")
            shown = delivery.with_context(lang=code)
            self.assertIn("Failed permanently.", english.status_message)
            self.assertNotIn("Failed permanently.", shown.status_message)
            labels = dict(
                self.env[DELIVERY]
                .with_context(lang=code)
                ._fields["state"]
                ._description_selection(shown.env)
            )
            self.assertEqual(known["Dead Letter"], labels["dead_letter"])
            [template] = [each for each in known if REFUSED in each]
            for text in filter(None, re.split(r"%\(\w+\)s", known[template])):
                self.assertIn(text, stored)
