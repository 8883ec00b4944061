# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Import of a configuration document: difference first, then all of it or nothing."""

import hashlib
import json
from dataclasses import dataclass, field

from psycopg2 import DataError, IntegrityError

from odoo import Command
from odoo.exceptions import UserError

from ..exceptions import WebhookProcessingConfigurationError
from ..services.errors import ServiceError
from ..services.masking import MASK
from ..services.retry import RetrySchedule
from .action_guard import guarded
from .configuration_difference import by_key, compare
from .configuration_document import (
    LIST_VALUES,
    SECTIONS,
    actions_of,
    check_rights,
    configured,
    node_of,
)
from .configuration_reader import Reader
from .const import ACTION_STATE, ENDPOINT
from .endpoint_policy import bounds_message
from .endpoint_secrets import INPUTS, KINDS
from .errors import capitalized, translate

# Another target is another host, most likely.
TARGETS = ("target_hostname", "connector_backend_ref", "oauth_token_url")


@dataclass
class Entry:
    """What the import does with one record.

    node: as in the document; None if it is only here
    """

    section: str
    label: str
    record: object = None
    before: object = None
    node: object = None
    changes: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def status(self):
        if self.node is None:
            return "only_here"
        if self.before is None:
            return "new"
        return "changed" if self.changes else "unchanged"

    def as_dict(self):
        return {
            "section": self.section,
            "record": self.label,
            "status": self.status,
            "changes": [change.as_dict() for change in self.changes],
            "notes": self.notes,
        }


class _Undo(Exception):
    """Ends a dry run."""


class ConfigurationImport:
    """One document and the company that it is imported into.

    :param delete: also remove what only this database has: endpoints and handlers are
        archived, rules and server actions deleted
    """

    def __init__(self, env, text, company=None, *, delete=False):
        self.company = company or env.company
        check_rights(env, self.company)
        companies = [self.company.id]
        self.env = env(context=dict(env.context, allowed_company_ids=companies))
        self.delete = delete
        self.warnings = []
        self.reader = Reader(self.env, text, self.company)
        self.document = self.reader.document
        self.entries = self._entries()
        self.settings = self._settings()

    @property
    def digest(self):
        """Changes with the difference: what was shown is what is imported."""
        shown = [each.as_dict() for each in self.entries], self.settings, self.delete
        return hashlib.sha256(json.dumps(shown, default=str).encode()).hexdigest()

    def run(self, *, dry_run=True):
        """Apply everything in one savepoint; a dry run takes it back.

        :raise WebhookProcessingConfigurationError: names the place in the document;
            nothing was changed
        """
        pending = self.env.cr.precommit.data
        kept = {key: _copy(value) for key, value in pending.items()}
        with guarded(self.env) as outcome:
            self._apply()
            if dry_run:
                raise _Undo
        if outcome.error is not None:
            # Notifications of what was taken back.
            pending.clear()
            pending.update(kept)
            if not isinstance(outcome.error, _Undo):
                raise outcome.error
        return self.difference()

    def difference(self):
        """What the import changes, as values."""
        return {
            "company": self.company.name,
            "records": [entry.as_dict() for entry in self.entries],
            "settings": self.settings,
            "warnings": self.warnings,
        }

    # Difference

    def _entries(self):
        entries = []
        for section in SECTIONS:
            nodes = self.reader.nodes.get(section, [])
            if section == "server_actions" and not self._may_write_actions(nodes):
                continue
            entries += [self._entry(section, node) for node in nodes]
            if section in self.reader.nodes:
                own = [each for each in entries if each.section == section]
                known = {each.record.id for each in own if each.record}
                entries += self._only_here(section, known)
        return entries

    def _may_write_actions(self, nodes):
        if self.env.is_system():
            return True
        if nodes:
            self.warnings.append(
                self.env._(
                    "Server actions are not imported: %s. Only Settings "
                    "administrators may change them. Ask one of them to import the "
                    "document.",
                    len(nodes),
                )
            )
        return False

    def _entry(self, section, node):
        record = self.reader.existing.get(id(node))
        entry = Entry(section, node.label(), record, node=node)
        if record:
            entry.before = node_of(record)
            entry.changes = compare(entry.before, node)
        if section == "endpoints":
            entry.notes += self._notes(entry)
        return entry

    def _notes(self, entry):
        """What a user has to enter afterwards."""
        labels = {
            "auth_secret": self.env._("Secret"),
            "signing_secret": self.env._("Signing Secret"),
            "client_certificate": self.env._("Client Certificate"),
        }
        own = entry.record and entry.record.sudo()
        secrets = self.reader.secrets.get(id(entry.node), {})
        missing = [
            labels.get(column, column)
            for column, state in secrets.items()
            if state == "set" and not (own and own[column])
        ]
        before = {} if entry.before is None else entry.before.parts
        for old, new in by_key(
            before.get("header_rule_ids", []),
            entry.node.parts.get("header_rule_ids", []),
        ):
            if new and old is None and new.values.get("literal_value") == MASK:
                missing.append(self.env._("value of header %s", new.label()))
        notes = []
        if entry.record is None:
            notes.append(self.env._("It arrives in draft."))
        if own and self._loses_secrets(own, entry.changes):
            notes.append(
                self.env._(
                    "Secrets of the former host or authentication are removed. Enter "
                    "new ones afterwards."
                )
            )
        if missing:
            notes.append(
                self.env._("Enter here, the document has none: %s", ", ".join(missing))
            )
        return notes

    def _loses_secrets(self, endpoint, changes):
        """Whether saving these changes removes a secret: see endpoint_secrets.py."""
        changed = {change.path[0].field for change in changes}
        bound = dict.fromkeys(TARGETS, INPUTS.values()) | KINDS
        return any(
            endpoint[column]
            for name in changed & bound.keys()
            for column in bound[name]
        )

    def _only_here(self, section, known):
        """Entries of records that the document doesn't have."""
        endpoints, handlers = configured(self.env, self.company)
        if section == "server_actions":
            if not self.reader.is_all:
                endpoints = self._named_endpoints()
            found = actions_of(endpoints)
        elif not self.reader.is_all:
            return []
        else:
            found = endpoints if section == "endpoints" else handlers
        return [
            Entry(section, node_of(each).label(), each, node_of(each))
            for each in found
            if each.id not in known
        ]

    def _named_endpoints(self):
        nodes = self.reader.nodes.get("endpoints", [])
        found = [self.reader.existing.get(id(node)) for node in nodes]
        return self.env[ENDPOINT].browse([each.id for each in found if each])

    def _settings(self):
        """Defaults for new endpoints that change, as `{name: {old, new}}`."""
        given = self.reader.settings
        if not given:
            return {}
        if not self.env.is_system():
            self.warnings.append(
                self.env._(
                    "Defaults for new endpoints are not imported: only Settings "
                    "administrators may change them. Ask one of them to import the "
                    "document."
                )
            )
            return {}
        stored = self.env["res.config.settings"]._defaults()
        return {
            name: {"old": stored[name], "new": value}
            for name, value in given.items()
            if stored[name] != value
        }

    # Writing

    def _apply(self):
        for entry in self.entries:
            if entry.node is not None and (entry.before is None or entry.changes):
                self._at(entry.node.where, self._write, entry)
        if self.delete:
            # Server actions first: they use endpoints, and these use handlers.
            for entry in reversed(self.entries):
                if entry.node is None:
                    self._at(entry.label, self._remove, entry)
        for name, change in self.settings.items():
            self._at(f"settings.{name}", self._set_default, name, change["new"])

    def _at(self, where, function, *arguments):
        """Call a function; its error names the place in the document."""
        try:
            function(*arguments)
            self.env.flush_all()
        except (UserError, ValueError, TypeError, KeyError) as error:
            raise _refusal(where, error) from error
        except (IntegrityError, DataError) as error:
            said = (error.diag.message_primary or str(error)).strip()
            raise _refusal(where, said) from error

    def _write(self, entry):
        model = self.env[entry.node.model]
        if entry.record:
            record = model.browse(entry.record.id)
            record.write(self._vals(entry.before, entry.node))
        else:
            record = model.create(self._vals_of_new(entry))
        code = entry.node.values.get("code")
        if entry.section != "server_actions" and record.sudo().code != code:
            raise UserError(
                self.env._(
                    "backend and code suffix make the code %(made)s here, not "
                    "%(code)s. Choose the backend with that prefix, or remove the "
                    "suffix from the document.",
                    made=record.sudo().code,
                    code=code,
                )
            )
        if entry.section == "endpoints" and entry.before is None:
            said = [self.env._("Imported from a configuration document.")]
            record._message_log(body="\n".join([*said, *entry.notes]))

    def _vals_of_new(self, entry):
        vals = self._vals(None, entry.node)
        if entry.section == "server_actions":
            return vals | {"state": ACTION_STATE}
        vals["company_id"] = self.company.id
        return vals | {"state": "draft"} if entry.section == "endpoints" else vals

    def _vals(self, before, node):
        """Values to write so that a record becomes like a node of the document."""
        changed = None
        if before is not None:
            changed = {change.path[0].field for change in compare(before, node)}
        vals = {}
        for name, value in node.values.items():
            if changed is not None and name not in changed:
                continue
            vals[name] = self.reader.resolve(node, name, value)
        for name, parts in node.parts.items():
            if changed is None or name in changed:
                old = before.parts.get(name, []) if before else []
                vals[name] = self._commands(name, old, parts)
        return vals

    def _commands(self, name, before, after):
        pairs = by_key(before, after)
        sequences = self._sequences(before, pairs)
        commands = []
        for old, new in pairs:
            if new is None:
                if self.delete:
                    commands.append(Command.delete(old.record.id))
                elif sequences:
                    commands.append(_moved(old.record, {}, sequences[id(old)]))
                continue
            vals = self._vals(old, new)
            if old is None:
                vals |= LIST_VALUES.get(name, {})
                vals["sequence"] = sequences[id(new)]
                commands.append(Command.create(vals))
            else:
                place = sequences.get(id(old), old.record.sequence)
                commands.append(_moved(old.record, vals, place))
        return [command for command in commands if command]

    def _sequences(self, before, pairs):
        """The sequence of each part, so that the order is that of the document.

        Parts that are only here stay behind the one that they are behind now. Empty if
        the order is right already.
        """
        order = [new if old is None else old for old, new in pairs if new is not None]
        kept = [each for each in before if any(each is one for one in order)]
        if order == kept:
            return {}
        if not self.delete:
            for place, node in enumerate(before):
                if not any(node is each for each in order):
                    behind = before[place - 1] if place else None
                    at = next((i for i, e in enumerate(order) if e is behind), -1)
                    order.insert(at + 1, node)
        return {id(node): 10 * (place + 1) for place, node in enumerate(order)}

    def _remove(self, entry):
        record = self.env[entry.before.model].browse(entry.record.id)
        if entry.section == "server_actions":
            record.unlink()
        elif entry.section == "endpoints":
            record.action_archive()
        else:
            record.write({"active": False})

    def _set_default(self, name, value):
        endpoints = self.env[ENDPOINT]
        message = bounds_message(endpoints, name, value)
        if message:
            raise UserError(message)
        if name == "retry_schedule":
            try:
                RetrySchedule.parse(value or "")
            except ServiceError as error:
                raise UserError(translate(self.env, error)) from error
        self.env["ir.default"].set(ENDPOINT, name, value)


def _moved(record, vals, sequence):
    if record.sequence != sequence:
        vals = vals | {"sequence": sequence}
    return Command.update(record.id, vals) if vals else None


def _copy(value):
    return value.copy() if isinstance(value, list | dict | set) else value


def _refusal(where, error):
    return WebhookProcessingConfigurationError(f"{where}: {capitalized(str(error))}")
