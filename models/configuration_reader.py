# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A configuration document, read strictly: every problem is named with its place."""

import json

from ..exceptions import WebhookProcessingConfigurationError
from .configuration_document import (
    ACTION,
    FORMAT,
    FORMAT_VERSION,
    NAMED_BY,
    SECTIONS,
    Node,
    document_fields,
    masked_of,
)
from .const import ACTION_STATE, CONNECTOR_MIXIN, ENDPOINT, HANDLER
from .endpoint_secrets import INPUTS
from .res_config_settings import DEFAULTS

SIZE_MAX = 20 * 1024 * 1024  # characters
SHOWN = 20  # problems that one message lists
KEYS = {"format", "format_version", "scope", "settings", *SECTIONS}
_INTEGER_MAX = 2**31 - 1


class Reader:
    """The records of a document, and those that they stand for here.

    nodes: by section; existing: by `id(node)`, the record here
    secrets: by `id(node)`, which secrets the endpoint had
    """

    def __init__(self, env, text, company):
        self.env = env
        self.company = company
        self.problems = []
        self.nodes, self.existing, self.secrets = {}, {}, {}
        self.document = self._parse(text)
        self.is_all = self.document.get("scope") == "company"
        self._read()
        if self.problems:
            raise self._refused(self.problems)

    def _refused(self, problems):
        shown = problems[:SHOWN]
        if len(problems) > SHOWN:
            shown.append(self.env._("and %s more", len(problems) - SHOWN))
        head = self.env._(
            "The document can't be imported, and nothing was changed. Correct these "
            "places:"
        )
        return WebhookProcessingConfigurationError("\n".join([head, *shown]))

    def _problem(self, where, text):
        self.problems.append(f"{where}: {text}")

    # The document

    def _parse(self, text):
        if isinstance(text, bytes):
            try:
                text = text.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise self._refused(
                    [self.env._("it is not UTF-8: %s", error)]
                ) from None
        text = (text or "").lstrip("\ufeff")
        if len(text) > SIZE_MAX:
            raise self._refused(
                [self.env._("it is larger than 20 MB. Export fewer endpoints.")]
            )
        try:
            document = json.loads(
                text, parse_constant=_refuse_constant, object_pairs_hook=_unique
            )
        except RecursionError:
            raise self._refused(
                [self.env._("it is nested too deeply. Export it again.")]
            ) from None
        except ValueError as error:
            raise self._refused(
                [
                    self.env._(
                        "it is not valid JSON, maybe it is truncated: %s. Export it "
                        "again.",
                        error,
                    )
                ]
            ) from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise self._refused(
                [
                    self.env._(
                        'it is not a configuration of outbound webhooks: "format" must '
                        "be %s. Export one from Webhooks > Configuration.",
                        FORMAT,
                    )
                ]
            )
        self._check_version(document.get("format_version"))
        return document

    def _check_version(self, version):
        if type(version) is not int or version < 1:
            text = self.env._(
                '"format_version" must be an integer from 1 to %s.', FORMAT_VERSION
            )
        elif version > FORMAT_VERSION:
            text = self.env._(
                "its format version is %(given)s, and this version of the addon reads "
                "up to %(known)s. Update the addon here first.",
                given=version,
                known=FORMAT_VERSION,
            )
        else:
            return
        raise self._refused([text])

    def _read(self):
        document = self.document
        self._check_unknown("", document, KEYS)
        if document.get("scope", "selection") not in ("company", "selection"):
            self._problem("scope", self.env._("it must be company or selection."))
        for section, model_name in SECTIONS.items():
            if section not in document:
                continue
            rows = document[section]
            if not isinstance(rows, list):
                self._problem(section, self._needs("list", rows))
                continue
            nodes = [
                self._node(model_name, row, f"{section}[{place}]")
                for place, row in enumerate(rows)
            ]
            self.nodes[section] = [node for node in nodes if node]
        self.settings = self._read_settings()
        for section in SECTIONS:
            self._match(section)
        for nodes in self.nodes.values():
            for node in nodes:
                self._check_references(node)

    def _read_settings(self):
        given = self.document.get("settings", {})
        if not isinstance(given, dict):
            self._problem("settings", self._needs("object", given))
            return {}
        self._check_unknown("settings", given, set(DEFAULTS))
        fields = self.env[ENDPOINT]._fields
        for name in given.keys() & set(DEFAULTS):
            self._check_value(fields[name], given[name], f"settings.{name}")
        return {name: given[name] for name in DEFAULTS if name in given}

    def _check_unknown(self, where, given, known):
        for name in given:
            if name not in known:
                self._problem(
                    f"{where}.{name}".lstrip("."),
                    self.env._(
                        "this key is not known here. Install the addon that has it, "
                        "or remove it."
                    ),
                )

    def _node(self, model_name, row, where):
        if not isinstance(row, dict):
            self._problem(where, self._needs("object", row))
            return None
        model = self.env[model_name]
        values, parts = document_fields(model)
        own = {"secrets"} if model_name == ENDPOINT else set()
        self._check_unknown(where, row, {*values, *parts, *own})
        node = Node(model_name, {}, where=where)
        for name in values:
            if name in row and self._check_value(
                model._fields[name], row[name], f"{where}.{name}"
            ):
                node.values[name] = row[name]
        for name in parts:
            if name in row:
                node.parts[name] = self._parts(model._fields[name], row[name], where)
        node.masked = masked_of(node)
        if own:
            self._read_secrets(node, row.get("secrets", {}))
        return node

    def _parts(self, known, rows, where):
        where = f"{where}.{known.name}"
        if not isinstance(rows, list):
            self._problem(where, self._needs("list", rows))
            return []
        nodes = [
            self._node(known.comodel_name, row, f"{where}[{place}]")
            for place, row in enumerate(rows)
        ]
        return [node for node in nodes if node]

    def _read_secrets(self, node, given):
        where = f"{node.where}.secrets"
        if not isinstance(given, dict):
            self._problem(where, self._needs("object", given))
            return
        self._check_unknown(where, given, set(INPUTS.values()))
        for name, state in given.items():
            if state not in ("set", "not set"):
                self._problem(
                    f"{where}.{name}",
                    self.env._(
                        'only "set" or "not set" is allowed: secrets are entered in '
                        "the form."
                    ),
                )
        self.secrets[id(node)] = given

    # Values

    def _needs(self, kind, value):
        kinds = {
            "list": self.env._("a list"),
            "object": self.env._("an object"),
            "text": self.env._("a text"),
            "boolean": self.env._("true or false"),
            "integer": self.env._("an integer of up to 9 digits"),
            "number": self.env._("a number"),
            "texts": self.env._("a list of texts"),
        }
        shown = ascii(value)
        return self.env._(
            "%(value)s is not valid here. Write %(kind)s.",
            value=shown if len(shown) <= 60 else f"{shown[:60]}...",
            kind=kinds[kind],
        )

    def _check_value(self, known, value, where):
        """True if the value has the type of the field; otherwise a problem."""
        text = self._fault(known, value)
        if text:
            self._problem(where, text)
        return not text

    def _fault(self, known, value):
        if known.type == "boolean":
            return None if isinstance(value, bool) else self._needs("boolean", value)
        if known.type == "integer":
            fits = type(value) is int and abs(value) <= _INTEGER_MAX
            return None if fits else self._needs("integer", value)
        if known.type == "float":
            fits = type(value) in (int, float) and abs(value) < 1e300
            return None if fits else self._needs("number", value)
        if known.type == "many2many":
            fits = isinstance(value, list) and all(map(_is_text, value))
            return None if fits else self._needs("texts", value)
        if value is None:
            return self.env._("it is empty. Enter a value.") if known.required else None
        if known.type == "reference":
            fits = isinstance(value, dict) and value.keys() == {"model", "name"}
            fits = fits and all(map(_is_text, value.values()))
            return None if fits else self._needs("object", value)
        if not _is_text(value):
            return self._needs("text", value)
        if known.type == "selection":
            return self._selection_fault(known, value)
        return None

    def _selection_fault(self, known, value):
        if known.name == "target_model":  # which models depends on the user
            return None if value in self.env else self._no_model(value)
        if value in known.get_values(self.env):
            return None
        if known.name == "format_language":
            return self.env._(
                "language %s is not active here. Activate it, or choose another one.",
                value,
            )
        return self.env._(
            '"%(value)s" is not one of: %(values)s. Choose one of them.',
            value=value,
            values=", ".join(known.get_values(self.env)),
        )

    def _no_model(self, name):
        return self.env._(
            "model %s doesn't exist here. Install its addon, or choose another model.",
            name,
        )

    # Records here

    def _match(self, section):
        """Find the record that each node stands for."""
        seen = set()
        for node in self.nodes.get(section, []):
            key = node.key()
            if not all(key):
                names = "name, model_id" if section == "server_actions" else "code"
                self._problem(node.where, self.env._("it needs: %s. Add it.", names))
                continue
            if key in seen:
                self._problem(
                    node.where,
                    self.env._("%s is in the list twice. Remove one.", node.label()),
                )
                continue
            seen.add(key)
            record = (
                self._action_here(node)
                if section == "server_actions"
                else self._by_code(node)
            )
            if record:
                self.existing[id(node)] = record

    def _by_code(self, node):
        records = self.env[node.model].sudo().with_context(active_test=False)
        record = records.search([("code", "=", node.values["code"])], limit=1)
        if record and record.company_id != self.company:
            self._problem(
                f"{node.where}.code",
                self.env._(
                    "the code %s is used in another company. Choose another code in "
                    "the document, or import it into that company.",
                    node.values["code"],
                ),
            )
            return None
        return record.sudo(self.env.su)

    def _action_here(self, node):
        actions = self.env[ACTION].sudo().with_context(lang="en_US")
        found = actions.search(
            [
                ("state", "=", ACTION_STATE),
                ("model_id.model", "=", node.values["model_id"]),
                ("name", "=", node.values["name"]),
                ("bwt_webhook_endpoint_id.company_id", "=", self.company.id),
            ]
        )
        if len(found) > 1:
            self._problem(
                node.where,
                self.env._(
                    "several server actions here have the name %s. Rename them.",
                    node.values["name"],
                ),
            )
        return found[:1].sudo(self.env.su)

    def _check_references(self, node):
        for name, value in node.values.items():
            known = self.env[node.model]._fields[name]
            if known.comodel_name or known.type == "reference":
                self._check_reference(node, known, value)
        if node.values.get("target_kind") == "field":
            self._check_target_field(node)
        model_name = node.model == HANDLER and node.values.get("python_model_name")
        if model_name and model_name.strip() not in self.env:
            self._problem(f"{node.where}.python_model_name", self._no_model(model_name))
        for parts in node.parts.values():
            for part in parts:
                self._check_references(part)

    def _check_reference(self, node, known, value):
        where = f"{node.where}.{known.name}"
        if known.type == "reference":
            if value and len(self._backends(value)) != 1:
                self._problem(
                    where,
                    self.env._(
                        "%(model)s %(name)s is not found here, or more than once. "
                        "Create it first, under a name of its own.",
                        **value,
                    ),
                )
            return
        names = value if isinstance(value, list) else [value] if value else []
        for place, name in enumerate(names):
            own = f"{where}[{place}]" if isinstance(value, list) else where
            if not self._is_known(node, known, name):
                self._problem(own, self._missing(node, known, name))

    def _is_known(self, node, known, name):
        if known.comodel_name == "ir.model":
            return name in self.env
        section = {HANDLER: "handlers", ENDPOINT: "endpoints"}.get(known.comodel_name)
        nodes = self.nodes.get(section, ())
        if any(each.values.get("code") == name for each in nodes):
            return True
        return bool(self._records(node, known.comodel_name, [name]))

    def _missing(self, node, known, name):
        if known.comodel_name == "ir.model":
            return self._no_model(name)
        if known.comodel_name == "ir.model.fields":
            return self.env._(
                "model %(model)s has no field %(field)s here. Remove it, or install "
                "its addon.",
                model=node.values.get("model_id"),
                field=name,
            )
        kinds = {
            "res.users": self.env._("user"),
            HANDLER: self.env._("handler"),
            ENDPOINT: self.env._("endpoint"),
        }
        return self.env._(
            "%(kind)s %(name)s doesn't exist in this company. Create it first, or "
            "remove it from the document.",
            kind=kinds.get(known.comodel_name, known.comodel_name),
            name=name,
        )

    def _check_target_field(self, node):
        model_name, name = (
            node.values.get(each) for each in ("target_model", "target_field")
        )
        if model_name and name and name.strip() not in self.env[model_name]._fields:
            self._problem(
                f"{node.where}.target_field",
                self.env._(
                    "model %(model)s has no field %(field)s here. Remove it, or "
                    "install its addon.",
                    model=model_name,
                    field=name,
                ),
            )

    def _records(self, node, comodel, names):
        records = self.env[comodel].sudo().with_context(active_test=False)
        domain = [(NAMED_BY[comodel], "in", names)]
        if comodel in (ENDPOINT, HANDLER):
            domain.append(("company_id", "=", self.company.id))
        elif comodel == "ir.model.fields":
            domain += [
                ("model", "=", node.values.get("model_id")),
                ("store", "=", True),
            ]
        return records.search(domain)

    def _backends(self, value):
        """Connector backends of the given model and name that the user may read."""
        model_name, name = value["model"], value["name"]
        known = self.env[CONNECTOR_MIXIN]._selection_connector_webhook_backend_models()
        if model_name not in dict(known):
            return self.env[ENDPOINT]
        backends = self.env[model_name]
        if not backends.has_access("read"):
            return backends
        found = backends.search([]).filtered(lambda each: each.display_name == name)
        return found.filtered(
            lambda each: (
                each.sudo()._get_backend_scope_company_id()
                in (False, None, self.company.id)
            )
        )

    def resolve(self, node, name, value):
        """A value of the document as one that can be written."""
        known = self.env[node.model]._fields[name]
        if known.type == "reference":
            found = value and self._backends(value)
            return f"{found._name},{found.id}" if found else False
        if known.type == "many2many":
            return [(6, 0, self._records(node, known.comodel_name, value).ids)]
        if known.type == "many2one":
            found = value and self._records(node, known.comodel_name, [value])
            return found.id if found else False
        return False if value is None else value


def _is_text(value):
    """Whether PostgreSQL can store it: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name):
    raise ValueError(f"{name} is not a JSON value")


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'key "{twice}" is in one object twice')
    return found
