# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import base64

from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError

from ..models.configuration_document import SECTIONS
from ..models.configuration_import import ConfigurationImport
from ..models.const import ENDPOINT

BADGES = {"new": "success", "changed": "warning", "only_here": "secondary"}


class BwtWebhookOutboundImportConfiguration(models.TransientModel):
    """Shows what a document changes, then imports exactly that."""

    _name = "bwt.webhook.outbound.import.configuration"
    _description = "Outbound Webhook: Import Configuration"

    state = fields.Selection(
        selection=[
            ("upload", "Document"),
            ("checked", "Difference"),
            ("done", "Imported"),
        ],
        default="upload",
        required=True,
        readonly=True,
    )
    company_id = fields.Many2one(
        comodel_name="res.company",
        required=True,
        default=lambda self: self.env.company,
        domain=lambda self: [("id", "in", self.env.companies.ids)],
        help="Gets the endpoints and handlers of the document.",
    )
    document = fields.Binary(
        attachment=False, help="A file of Export Configuration, of any database."
    )
    document_name = fields.Char()
    delete = fields.Boolean(
        string="Remove What Is Only Here",
        help="Rules and server actions that the document doesn't have are deleted, "
        "endpoints and handlers archived. Otherwise they stay as they are.",
    )
    difference = fields.Html(
        readonly=True, help="What the import changes, record by record."
    )
    digest = fields.Char(readonly=True)

    def _import(self):
        self.ensure_one()
        if not self.document:
            raise UserError(
                self.env._("There is no document. Choose a file that was exported.")
            )
        return ConfigurationImport(
            self.env,
            base64.b64decode(self.document),
            self.company_id,
            delete=self.delete,
        )

    def action_check(self):
        """Check the document as the import does, and show what it would change."""
        found = self._import()
        found.run(dry_run=True)
        return self._show("checked", found)

    def action_back(self):
        self.write({"state": "upload", "difference": False, "digest": False})
        return self._dialog()

    def action_import(self):
        """Import what was shown; refused if something has changed since."""
        found = self._import()
        if found.digest != self.digest:
            raise UserError(
                self.env._(
                    "The configuration has changed since the difference was shown. "
                    "Press Back, then Show Difference."
                )
            )
        found.run(dry_run=False)
        return self._show("done", found)

    def _show(self, state, found):
        self.write(
            {
                "state": state,
                "difference": difference_html(self.env, found),
                "digest": found.digest,
            }
        )
        return self._dialog()

    def _dialog(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Import Configuration"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }


def difference_html(env, found):
    """What an import changes, as markup: counts, warnings, then each record."""
    labels = {
        "new": env._("New"),
        "changed": env._("Changed"),
        "unchanged": env._("Unchanged"),
        "only_here": env._("Only Here"),
    }
    counts = {status: 0 for status in labels}
    for entry in found.entries:
        counts[entry.status] += 1
    summary = ", ".join(f"{label}: {counts[key]}" for key, label in labels.items())
    parts = [Markup("<p><b>%s</b></p>") % summary]
    parts += [
        Markup("<p class='text-warning'>%s</p>") % text for text in found.warnings
    ]
    parts += [
        _entry(env, found, entry, labels)
        for entry in found.entries
        if entry.status != "unchanged"
    ]
    if found.settings:
        parts.append(_settings(env, found.settings))
    return Markup("").join(parts)


def _entry(env, found, entry, labels):
    kinds = {
        "handlers": env._("Handler"),
        "endpoints": env._("Endpoint"),
        "server_actions": env._("Server Action"),
    }
    lines = [_change(env, found, change) for change in entry.changes]
    lines += [Markup("<li><i>%s</i></li>") % note for note in entry.notes]
    if entry.status == "only_here":
        lines.append(Markup("<li><i>%s</i></li>") % _fate(env, found, entry.section))
    return Markup(
        "<div class='mb-2'><span class='badge text-bg-%s'>%s</span> %s <b>%s</b>"
        "<ul class='text-break'>%s</ul></div>"
    ) % (
        BADGES[entry.status],
        labels[entry.status],
        kinds[entry.section],
        entry.label,
        Markup("").join(lines),
    )


def _fate(env, found, section):
    if not found.delete:
        return env._("It stays as it is.")
    if SECTIONS[section] == "ir.actions.server":
        return env._("It is deleted.")
    return env._("It is archived.")


def _change(env, found, change):
    old, new = change.texts(env)
    if change.status == "only_here" and not found.delete:
        text = env._("only here, it stays: %s", old)
    elif change.status == "only_here":
        text = env._("only here, it is deleted: %s", old)
    elif change.status == "new":
        text = env._("new: %s", new)
    elif change.status == "order":
        text = env._("order: %(old)s → %(new)s", old=old, new=new)
    else:
        empty = env._("(empty)")
        text = f"{old or empty} → {new or empty}"
    return Markup("<li>%s: %s</li>") % (change.label(env), text)


def _settings(env, settings):
    fields_ = env[ENDPOINT]._fields
    lines = [
        Markup("<li>%s: %s → %s</li>")
        % (fields_[name]._description_string(env), change["old"], change["new"])
        for name, change in settings.items()
    ]
    return Markup("<div><b>%s</b><ul>%s</ul></div>") % (
        env._("Defaults of new endpoints"),
        Markup("").join(lines),
    )
