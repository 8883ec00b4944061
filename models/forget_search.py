# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Finds the deliveries that have data of a contact, step by step.

A step reads a bounded part of one source for a few seconds, in a transaction of its
own. Sources are what refers to the contact, by index, and then every text that our
tables store, from end to end: texts have no index.
"""

import json
import re
import time
from typing import NamedTuple
from urllib.parse import quote

from odoo.tools import SQL, email_normalize

from ..lane import jobs
from .const import ATTEMPT, CONTEXT_LINE, DELIVERY, FORGET
from .content_retention import texts_about_deliveries
from .delivery_record import _models_in_use

STEP_SECONDS = 3.0  # of a transaction
ROWS_AT_ONCE = 2000
EMAIL_MIN = 6  # characters; a shorter text is part of too many others
DIGITS_MIN = 7  # of a phone number
PARAMETER = "bwt_webhooks_outbound.forget_fields"
FIELDS = "partner_id"
TEXT_TYPES = ("text", "varchar", "jsonb", "json")


class Terms(NamedTuple):
    """What is searched of a contact, and what is not: (label, reason) pairs."""

    texts: tuple[str, ...]
    refused: tuple[str, ...]

    def patterns(self):
        """LIKE patterns: each text as it is stored in JSON and in a URL."""
        found = set()
        for text in self.texts:
            text = text.lower()
            for form in (text, quote(text, safe=""), json.dumps(text)[1:-1]):
                escaped = re.sub(r"([\\%_])", r"\\\1", form.lower())
                found.add(f"%{escaped}%")
        return sorted(found)


def terms_of(partner) -> Terms:
    """E-mail and phone numbers of a contact, if they are long enough to mean it."""
    env, texts, refused = partner.env, [], []
    email = (email_normalize(partner.email) or partner.email or "").strip()
    if email:
        if len(email) >= EMAIL_MIN:
            texts.append(email)
        else:
            refused.append(
                env._(
                    'The e-mail "%(email)s" is shorter than %(min)s characters and is '
                    "part of too many texts: it isn't searched.",
                    email=email,
                    min=EMAIL_MIN,
                )
            )
    for name in ("phone", "mobile"):
        phone = (name in partner._fields and partner[name] or "").strip()
        digits = re.sub(r"\D", "", phone)
        if not phone:
            continue
        if len(digits) < DIGITS_MIN:
            refused.append(
                env._(
                    'The phone "%(phone)s" has fewer than %(min)s digits and is part '
                    "of too many texts: it isn't searched.",
                    phone=phone,
                    min=DIGITS_MIN,
                )
            )
            continue
        texts += [phone, re.sub(r"[^\d+]", "", phone), digits]
    return Terms(tuple(dict.fromkeys(texts)), tuple(refused))


def sources(env, terms):
    """What is searched, in this order: pairs of kind and name."""
    found = [("about", "res.partner")]
    found += [
        ("records", name)
        for name in _models_in_use(env[DELIVERY])
        if name != "res.partner" and _fields_to_contacts(env, name)
    ]
    if terms.texts:
        tables = [DELIVERY, ATTEMPT, CONTEXT_LINE, *texts_about_deliveries(env)]
        found += [("text", name) for name in tables]
        found += [("text", "mail.message"), ("text", "mail.activity")]
        found.append(("others", ""))
    return found


def _fields_to_contacts(env, model_name):
    """Stored many2one fields to contacts, of those that the parameter names."""
    model = env.get(model_name)
    if model is None or model._abstract or not model._auto:
        return []
    names = env["ir.config_parameter"].sudo().get_param(PARAMETER) or FIELDS
    return [
        name
        for name in re.split(r"[\s,]+", names.strip())
        if name in model._fields
        and model._fields[name].store
        and model._fields[name].type == "many2one"
        and model._fields[name].comodel_name == "res.partner"
    ]


def _text_columns(model):
    """Names of all columns of a model that contain texts."""
    return [
        field.name
        for field in model._fields.values()
        if field.store and field.column_type and field.column_type[0] in TEXT_TYPES
    ]


def _matches(model, patterns):
    """Whether one of the texts of a row `t` contains a pattern."""
    columns = SQL(", ").join(
        SQL("t.%s::text", SQL.identifier(name)) for name in _text_columns(model)
    )
    return SQL("lower(concat_ws(E'\\n', %s)) LIKE ANY(%s)", columns, patterns)


class Search:
    """A step of the search of one `FORGET` record.

    :param forget: as superuser
    """

    def __init__(self, forget):
        self.forget = forget
        self.env = forget.env
        self.partner = forget.partner_id
        self.terms = terms_of(self.partner)
        self.sources = [tuple(each) for each in json.loads(forget.sources_json)]

    def step(self):
        """Search for some seconds; returns whether all sources were searched."""
        began = time.monotonic()
        number, last_id = self.forget.source_number, self.forget.last_id
        while number < len(self.sources):
            kind, name = self.sources[number]
            last_id = getattr(self, f"_search_{kind}")(name, last_id)
            if last_id is None:  # nothing is left of this source
                number, last_id = number + 1, 0
            if time.monotonic() - began > STEP_SECONDS:
                break
        self.forget.write({"source_number": number, "last_id": last_id or 0})
        self.env.invalidate_all()  # relations were written by SQL
        return number >= len(self.sources)

    def _search_about(self, name, _last_id):
        self._add_about(name, self.partner.ids)

    def _search_records(self, name, last_id):
        """Deliveries about records that belong to the contact."""
        names = _fields_to_contacts(self.env, name)
        domain = ["|"] * (len(names) - 1)
        domain += [(each, "=", self.partner.id) for each in names]
        model = self.env[name].with_context(active_test=False)
        found = model.search(
            [("id", ">", last_id), *domain], order="id", limit=ROWS_AT_ONCE
        )
        self._add_about(name, found.ids)
        return found[-1].id if len(found) == ROWS_AT_ONCE else None

    def _add_about(self, model_name, ids):
        if not ids:
            return
        about = SQL("res_model = %s AND res_id = ANY(%s)", model_name, ids)
        self._add(SQL("SELECT id FROM bwt_webhook_outbound_delivery WHERE %s", about))
        self.env.cr.execute(
            SQL(
                """INSERT INTO bwt_webhook_outbound_forget_reference
                (forget_id, reference_id)
                SELECT %s, id FROM bwt_webhook_outbound_external_ref WHERE %s
                ON CONFLICT DO NOTHING""",
                self.forget.id,
                about,
            )
        )

    def _search_text(self, name, last_id):
        """Deliveries with a row of this table that contains a text of the contact."""
        model = self.env[name]
        table = SQL.identifier(model._table)
        [(end,)] = self.env.execute_query(
            SQL(
                "SELECT max(id) FROM "
                "(SELECT id FROM %s WHERE id > %s ORDER BY id LIMIT %s) t",
                table,
                last_id,
                ROWS_AT_ONCE,
            )
        )
        if end is None:
            return None
        delivery, where = SQL("t.delivery_id"), SQL("TRUE")
        if name == DELIVERY:
            delivery = SQL("t.id")
        elif name == "mail.message":
            delivery, where = SQL("t.res_id"), SQL("t.model = %s", DELIVERY)
        elif name == "mail.activity":
            delivery, where = SQL("t.res_id"), SQL("t.res_model = %s", DELIVERY)
        self._add(
            SQL(
                "SELECT %s FROM %s t WHERE t.id > %s AND t.id <= %s AND %s AND %s",
                delivery,
                table,
                last_id,
                end,
                where,
                _matches(model, self.terms.patterns()),
            )
        )
        return end

    def _add(self, deliveries):
        # Joined: a message or an activity may be left of a delivery that was deleted.
        self.env.cr.execute(
            SQL(
                """INSERT INTO bwt_webhook_outbound_forget_delivery
                (forget_id, delivery_id)
                SELECT %s, d.id FROM bwt_webhook_outbound_delivery d
                WHERE d.id IN (%s) ON CONFLICT DO NOTHING""",
                self.forget.id,
                deliveries,
            )
        )

    def _search_others(self, _name, _last_id):
        """Count what is no delivery: settings, runs, their messages, failed jobs."""
        counts = {}
        patterns = self.terms.patterns()
        searched = {name for kind, name in self.sources if kind == "text"}
        ours = [
            model
            for model in self.env.registry.models.values()
            if model._original_module == "bwt_webhooks_outbound"
            and model._auto
            and not model._abstract
            and not model._transient
        ]
        for model in ours:
            if model._name in searched | {FORGET} or not _text_columns(model):
                continue
            counts[model._name] = self._count(model, patterns, SQL("TRUE"))
        names = [model._name for model in ours if model._name != DELIVERY]
        for name, column in (("mail.message", "model"), ("mail.activity", "res_model")):
            where = SQL("t.%s = ANY(%s)", SQL.identifier(column), names)
            counts[name] = self._count(self.env[name], patterns, where)
        counts[jobs.MODEL] = jobs.count_with_texts(self.env.cr, patterns)
        found = {name: count for name, count in counts.items() if count}
        self.forget.others_json = json.dumps(found, sort_keys=True)

    def _count(self, model, patterns, where):
        [(count,)] = self.env.execute_query(
            SQL(
                "SELECT count(*) FROM %s t WHERE %s AND %s",
                SQL.identifier(model._table),
                where,
                _matches(model, patterns),
            )
        )
        return count


def empty_other_texts(env, patterns):
    """Delete messages of runs that quote a value of the contact."""
    if patterns:
        env.flush_all()
        env.cr.execute(
            SQL(
                """UPDATE bwt_webhook_outbound_run SET not_built_message = NULL
                WHERE lower(not_built_message) LIKE ANY(%s)""",
                patterns,
            )
        )
        env.invalidate_all()
