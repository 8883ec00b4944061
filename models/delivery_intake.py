# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import NamedTuple

from odoo import Command, api, fields, models, tools
from odoo.tools.misc import clean_context

from ..lane import sql, wake
from ..lane.clock import utcnow
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.transport import normalize_request_files
from ..services.values import dumps_payload, serialize_headers, storable_text
from .const import CONTEXT_LINE
from .refusal import misconfigured, refused
from .source import check_source

ARGUMENTS = frozenset(
    "payload context_lines headers files name record eta ordering_key supersede".split()
)
# What asks for a delivery in code writes no chatter: a log line per order sent would
# cost more than the delivery.
SILENT = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
}
# Addons whose part in creating a delivery is known and done by the plain insert too.
KNOWN_MODULES = frozenset({None, "base", "mail", "bwt_webhooks_outbound"})
PAGE = 10_000  # rows per statement


def new_message_uid() -> str:
    """`msg_` and 32 hex digits: the receiver's key to drop duplicates."""
    return f"msg_{uuid.uuid4().hex}"


def record_key(res_model, res_id):
    """The ordering key of deliveries about one record; False without a record."""
    return f"{res_model},{res_id}" if res_model and res_id else False


def ordering_group(ordering, key):
    """The line that a delivery stands in where the endpoint's order is this."""
    return {"endpoint": "*", "key": key or False}.get(ordering, False)


class Asked(NamedTuple):
    """One delivery that code asked for, checked: nothing of it can be refused later."""

    vals: dict
    lines: list  # of dicts
    files: dict


class DeliveryIntake(models.AbstractModel):
    """How the deliveries that code asks for come into being, many at once."""

    _name = "bwt.webhook.outbound.delivery.intake"
    _description = "Outbound Webhook Delivery: Intake"

    @api.model
    def _take_in(self, endpoint, requests):
        """Create queued deliveries and ask for the lane that moves them.

        :param endpoint: an active one, with sudo
        :param requests: list of dicts with the arguments of `queue_delivery`
        """
        now = utcnow()
        label = f"{endpoint.display_name} / {now:%Y-%m-%d %H:%M:%S}"
        # Everything that can be refused is refused here: nothing half-made stays in
        # the transaction of a caller that goes on after an error.
        asked = [self._asked(endpoint, each, label, now) for each in requests]
        # The caller's defaults are for the caller's records.
        context = clean_context(self.env.context) | SILENT
        intake = self.sudo().with_context(context)
        if intake._has_foreign_hooks():
            deliveries, transaction = intake._create_asked(asked), None
        else:
            deliveries, transaction = intake._insert_asked(endpoint, asked)
        for delivery, each in zip(deliveries, asked, strict=True):
            if each.files:
                delivery._attach_files(each.files)
        if endpoint._runs_without_jobs():
            deliveries.process_delivery()
        else:
            dates = {each.vals["next_attempt_at"] for each in asked}
            _wake(endpoint, dates, now, transaction)
        return deliveries

    # Checked first

    def _asked(self, endpoint, request, label, now):
        try:
            if not isinstance(request, Mapping) or not ARGUMENTS.issuperset(request):
                raise _unknown_arguments(request)
            lines = request.get("context_lines")
            return Asked(
                self._asked_vals(endpoint, request, label, now),
                self._asked_lines(lines) if lines else [],
                _checked_files(request.get("files")),
            )
        except ServiceError as error:
            raise misconfigured(endpoint, error) from error

    def _asked_vals(self, endpoint, request, label, now):
        get = request.get
        payload, headers = get("payload"), get("headers")
        res_model, res_id = self._subject_of(endpoint, get("record"))
        supersede = bool(get("supersede"))
        key = get("ordering_key")
        key = False if key in (None, False, "") else storable_text(str(key))
        if not key and (supersede or endpoint.ordering == "key"):
            key = record_key(res_model, res_id)
        if supersede and not key:
            raise refused(
                endpoint,
                self.env._(
                    "supersede needs an ordering key, or the record it is about."
                ),
            )
        return {
            "endpoint_id": endpoint.id,
            "name": storable_text(str(get("name") or label)),
            "message_uid": new_message_uid(),
            "state": "queued",
            "queued_at": now,
            "next_attempt_at": self._eta(endpoint, get("eta")) or now,
            "payload_json": "{}" if payload is None else dumps_payload(payload),
            "request_headers_json": _checked_headers(headers) if headers else "{}",
            "ordering_key": key,
            "ordering_group": ordering_group(endpoint.ordering, key),
            "supersede": supersede,
            "res_model": res_model,
            "res_id": res_id,
        }

    def _subject_of(self, endpoint, record):
        if record is None or record is False:
            return False, False
        if not isinstance(record, models.BaseModel) or len(record) != 1:
            raise refused(
                endpoint,
                self.env._(
                    "record=%(record)s is not one record. Give the record that the "
                    "delivery is about, or leave it out.",
                    record=repr(record)[:80],
                ),
            )
        if not isinstance(record.id, int):
            raise refused(
                endpoint,
                self.env._("the record it is about isn't saved yet. Save it first."),
            )
        return record._name, record.id

    def _eta(self, endpoint, eta):
        """`eta` as naive UTC; None without one."""
        try:
            if isinstance(eta, datetime) and eta.tzinfo:
                return eta.astimezone(timezone.utc).replace(tzinfo=None)
            if not eta or isinstance(eta, str | date):
                return fields.Datetime.to_datetime(eta or None)
        except ValueError:
            pass  # told below
        raise refused(
            endpoint,
            self.env._(
                "eta=%(eta)s is no time. Give a datetime in UTC.", eta=repr(eta)[:80]
            ),
        )

    def _asked_lines(self, given):
        lines = self.env[CONTEXT_LINE]
        found = lines._vals_from(given)
        if not isinstance(given, Mapping):  # a mapping's values are literals
            for vals in found:
                self._check_line(lines, vals)
        return found

    def _check_line(self, lines, vals):
        """Raise what the line's constraints would, before anything is written."""
        kind = vals.setdefault("source_kind", "literal")
        try:
            for name, value in vals.items():
                vals[name] = lines._fields[name].convert_to_cache(value, lines)
            check_source(
                self.env, kind, vals.get("source_expression"), vals.get("literal_value")
            )
        except (ServiceError, ValueError, TypeError) as error:
            problem = error
            if isinstance(error, ServiceError):
                problem = self.env._(error.template, **error.values)
            raise ConfigurationError(
                _lt('context line "%(key)s": %(problem)s'),
                key=vals["key_name"],
                problem=problem,
            ) from error

    # Then written

    def _create_asked(self, asked):
        """By `create`, for the sake of what other addons do there."""
        numbers = self._draw_queue_numbers(len(asked))
        return self.create(
            [
                each.vals
                | {
                    "queue_number": number,
                    "context_line_ids": [Command.create(line) for line in each.lines],
                }
                for number, each in zip(numbers, asked, strict=True)
            ]
        )

    def _insert_asked(self, endpoint, asked):
        """By one INSERT and one for the lines: the same rows as `create` writes.

        :return: the deliveries and the number of the transaction
        """
        cr = self.env.cr
        shared = {
            "endpoint": endpoint.id,
            "company": endpoint.company_id.id,
            "uid": self.env.uid,
        }
        found = cr.execute_values(
            sql.QUEUE_DELIVERIES_VALUES,
            [_row(each.vals, sql.QUEUED_COLUMNS) for each in asked],
            template=cr.mogrify(sql.QUEUE_DELIVERIES_TEMPLATE, shared).decode(),
            page_size=PAGE,
            fetch=True,
        )
        ids = [row[0] for row in found]
        lines = [
            (delivery_id, *_line_row(line))
            for delivery_id, each in zip(ids, asked, strict=True)
            for line in each.lines
        ]
        if lines:
            cr.execute_values(
                sql.QUEUE_LINES_VALUES,
                lines,
                template=cr.mogrify(sql.QUEUE_LINES_TEMPLATE, shared).decode(),
                page_size=PAGE,
            )
        endpoint.invalidate_recordset(["outbound_delivery_ids"])
        return self.browse(ids), found[0][1] if found else None

    def _has_foreign_hooks(self):
        """Whether an addon that isn't known here hangs on the making of deliveries.

        An override of `create` (automation rules put theirs on the model's class), a
        constraint, a stored field of its own with a default or a computation.
        """
        for model in (self, self.env[CONTEXT_LINE]):
            for cls in type(model).__mro__:
                if "create" in vars(cls) and (
                    "pool" in vars(cls)
                    or getattr(cls, "_module", None) not in KNOWN_MODULES
                ):
                    return True
        return self._has_foreign_fields()

    @api.model
    @tools.ormcache()
    def _has_foreign_fields(self):
        for model in (self, self.env[CONTEXT_LINE]):
            for field in model._fields.values():
                if any(map(_is_foreign, self.pool.get_dependent_fields(field))):
                    return True
                if _is_foreign(field) and (field.default or field.required):
                    return True
            for method in model._constraint_methods:
                if not method.__module__.startswith(
                    ("odoo.addons.bwt_webhooks_outbound.", "odoo.addons.mail.")
                ):
                    return True
        return False

    def _attach_files(self, files):
        """Keep files as attachments; the form field stands in their description."""
        self.env["ir.attachment"].create(
            [
                {
                    "name": filename,
                    "description": field_name,
                    "raw": content.encode() if isinstance(content, str) else content,
                    "mimetype": rest[0] if rest else "application/octet-stream",
                    "res_model": self._name,
                    "res_id": self.id,
                }
                for field_name, (filename, content, *rest) in files.items()
            ]
        )


def _is_foreign(field):
    return field.store and (field.manual or field._module not in KNOWN_MODULES)


def _wake(endpoint, dates, now, transaction):
    """One wake-up for what is due, one for the earliest later date."""
    if any(due <= now for due in dates):
        wake.wake(endpoint, transaction=transaction)
    later = [due for due in dates if due > now]
    if later:
        wake.wake(endpoint, eta=min(later), transaction=transaction)


def _row(vals, columns):
    return [None if vals[name] is False else vals[name] for name in columns]


def _line_row(line):
    return (
        line["sequence"],
        line.get("active", True),
        storable_text(line["key_name"]),
        line["source_kind"],
        line.get("source_expression") or None,
        storable_text(line.get("literal_value") or "") or None,
    )


def _checked_headers(headers):
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            _lt('headers must be a mapping, not %(type)s. Give {"X-Shop": "1"}.'),
            type=type(headers).__name__,
        )
    return serialize_headers(headers)


def _checked_files(files):
    if not files:
        return {}
    if not isinstance(files, Mapping):
        raise ConfigurationError(
            _lt(
                "files must be a mapping of form field to file, not %(type)s. Give "
                '{"doc": {"filename": "a.pdf", "content": b"..."}}.'
            ),
            type=type(files).__name__,
        )
    checked = normalize_request_files(files)
    for field_name, (_filename, content, *_rest) in checked.items():
        if not isinstance(content, bytes | str):
            raise ConfigurationError(
                _lt('the content of file "%(field)s" is %(type)s. Give bytes.'),
                field=field_name,
                type=type(content).__name__,
            )
    return checked


def _unknown_arguments(request):
    if not isinstance(request, Mapping):
        given = repr(request)[:80]
    else:
        given = ", ".join(sorted(map(str, set(request) - ARGUMENTS)))
    return ConfigurationError(
        _lt("queueing knows no %(given)s. Give a dict with some of: %(known)s."),
        given=given,
        known=", ".join(sorted(ARGUMENTS)),
    )
