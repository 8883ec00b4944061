# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files of records: which a server action sends, and where they are found.

They are binary fields, and attachments that match a filter. A file that Odoo has stored
as an attachment is not read here: a delivery stores a reference to the same stored
file, see `ir_attachment`.
"""

import base64
import binascii
import mimetypes
import re
from typing import NamedTuple

from odoo.tools.mimetypes import guess_mimetype

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.payload_files import reserve_places
from ..services.values import storable_text
from .field_path import RELATIONAL, compile_field_path, final_field, several_records
from .field_value import read_field
from .path_reader import AccessGuard
from .value_source import compile_source

ATTACHMENT = "ir.attachment"
_COLUMNS = ("name", "mimetype", "file_size", "res_id", "store_fname")
_HEAD = 4096  # bytes that tell the type of a file
# Content types of markup, which Odoo stores as text/plain if an ordinary user uploads
# it, so that browsers don't run it.
_NEUTRALIZED = "text/plain"
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml|svg|html|!doctype)", re.IGNORECASE)


class FoundFile(NamedTuple):
    """A file of a record.

    name, content_type: its own
    size: bytes
    attachment_id: the attachment that stores it; 0 if `content` has the bytes
    """

    name: str
    content_type: str
    size: int
    attachment_id: int = 0
    content: bytes | None = None


class QueuedFile(NamedTuple):
    """A file to store with a delivery.

    field: form field of the part, or path in the payload
    name, content_type: as they are sent
    """

    field: str
    name: str
    content_type: str
    file: FoundFile
    in_payload: bool = False

    @property
    def size(self):
        """Bytes that it takes in the request, without headers."""
        size = self.file.size
        return -(-size // 3) * 4 if self.in_payload else size


class BinaryField:
    """Reads a binary field at a path, such as `partner_id.image_1920`."""

    def __init__(self, env, model_name, path, user_id=None):
        self.path = path
        compile_field_path(env, model_name, path)
        self.field = final_field(env, model_name, path)
        if self.field is None or self.field.type != "binary":
            raise ConfigurationError(
                _lt(
                    'path "%(path)s" doesn\'t end on a binary field. Choose one, such '
                    "as image_1920."
                ),
                path=path,
            )
        self._walk = _Walk(path, user_id)
        # A related field has no attachment of its own, its origin has.
        *self.owner, _name = path.split(".")
        while self.field.related and not self.field.store:
            self.owner += self.field.related.split(".")[:-1]
            self.field = self.field.related_field

    def find(self, records):
        """Record id -> list of `FoundFile`."""
        owners = {
            each.id: self._walk(each, self.owner, self.field.name) for each in records
        }
        if not (self.field.store and self.field.attachment):
            return {key: self._contents(each) for key, each in owners.items()}
        every = records.env[self.field.model_name].browse(
            dict.fromkeys(each for found in owners.values() for each in found.ids)
        )
        stored = self._stored(every)
        return {
            key: [stored[each] for each in found.ids if each in stored]
            for key, found in owners.items()
        }

    def _stored(self, owners):
        """Owner id -> `FoundFile`, by one query."""
        if not owners:
            return {}
        attachments = owners.env[ATTACHMENT].search_fetch(
            [
                ("res_model", "=", owners._name),
                ("res_field", "=", self.field.name),
                ("res_id", "in", owners.ids),
            ],
            _COLUMNS,
            order="id desc",  # the first one counts, as when Odoo reads the field
        )
        return {
            each.res_id: _of_attachment(each, self.field.name) for each in attachments
        }

    def _contents(self, owners):
        found = []
        for owner in owners:
            content = self._bytes(read_field(owner, self.field.name, self.path))
            if content:
                kind = guess_mimetype(content) or "application/octet-stream"
                name = _with_extension(self.field.name, kind)
                found.append(FoundFile(name, kind, len(content), content=content))
        return found

    def _bytes(self, value):
        if value is None or value is False:
            return b""
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes | bytearray | memoryview):
            raise ConfigurationError(
                _lt(
                    'path "%(path)s" has a structure, not a file. Choose another '
                    "field, or send it by a payload rule."
                ),
                path=self.path,
            )
        value = bytes(value)
        if self.field.model_name == ATTACHMENT and self.field.name == "raw":
            return value
        try:
            return base64.b64decode(value.translate(None, b"\r\n"), validate=True)
        except binascii.Error:
            return value


class Attachments:
    """Reads the attachments of a record, or of the records behind a path.

    :param path: of a relation; empty for the record itself. Of a relation to
        attachments, these are taken.
    :param selection: a `RecordSelection` of attachments
    """

    def __init__(self, env, model_name, path, selection, user_id=None):
        self.path = path
        self.parts = path.split(".") if path else []
        if path:
            compile_field_path(env, model_name, path)
            field = final_field(env, model_name, path)
            if field is None or field.type not in RELATIONAL:
                raise ConfigurationError(
                    _lt(
                        'path "%(path)s" doesn\'t end on records. Choose a relation, '
                        "or leave it empty for attachments of the record itself."
                    ),
                    path=path,
                )
        self._select = selection.compile(env, ATTACHMENT)
        self._walk = _Walk(path, user_id)

    def find(self, records):
        """Record id -> list of `FoundFile`."""
        owners = {each.id: self._walk(each, self.parts) for each in records}
        found = self._attachments(owners)
        result = {}
        for key, attachments in found.items():
            if self._select is not None:
                attachments = self._select(attachments)
            self._walk.check(attachments)
            result[key] = [_of_attachment(each) for each in attachments]
        return result

    def _attachments(self, owners):
        """Record id -> attachments, oldest first, by one query."""
        one = next(iter(owners.values()))
        env, model_name = one.env, one._name
        ids = list(
            dict.fromkeys(each for found in owners.values() for each in found.ids)
        )
        attachments = env[ATTACHMENT].browse()
        if model_name == ATTACHMENT:
            domain = [("id", "in", ids)]
        else:
            domain = [
                ("res_model", "=", model_name),
                ("res_id", "in", ids),
                ("res_field", "=", False),  # those of fields are not files of users
            ]
        if ids:
            domain.append(("type", "=", "binary"))
            attachments = attachments.search_fetch(domain, _COLUMNS, order="id")
        if model_name == ATTACHMENT:
            by_id = {each.id: each for each in attachments}
            return {
                key: attachments.concat(
                    *(by_id[each] for each in found.ids if each in by_id)
                )
                for key, found in owners.items()
            }
        by_owner = attachments.grouped("res_id")
        none = attachments.browse()
        return {
            key: none.concat(*(by_owner.get(each, none) for each in found.ids))
            for key, found in owners.items()
        }


class _Walk:
    """Follows relations; checks that a user may read what is behind them.

    :param user_id: None for no limit
    """

    def __init__(self, path, user_id):
        self.path = path
        self.guard = AccessGuard(user_id) if user_id else None

    def __call__(self, record, parts, then=None):
        """The records behind these relations.

        :param then: a field that is read from the result, which must be one record
            unless a `*` precedes it
        """
        if self.guard is not None:
            self.guard.check(record, self.path or "id", check_start=True)
        records, is_several = record, False
        for part in parts:
            if part == "*":
                is_several = True
            elif part.isdecimal():
                records = records[int(part) : int(part) + 1]
            else:
                self._check_count(records, part, is_several)
                records = read_field(records, part, self.path)
                is_several = False
        if then:
            self._check_count(records, then, is_several)
        return records

    def _check_count(self, records, name, is_several):
        if len(records) > 1 and not is_several:
            raise several_records(self.path, len(records), name)

    def check(self, attachments):
        """Refuse attachments that the user may not read."""
        if self.guard is not None and attachments:
            self.guard.check_records(attachments, self.path or "attachments")


def _of_attachment(attachment, field_name=None):
    kind = _own_type(attachment)
    name = _with_extension(field_name, kind) if field_name else attachment.name
    return FoundFile(name, kind, attachment.file_size, attachment.id)


def _own_type(attachment):
    """The content type of an attachment, also if Odoo made plain text of markup."""
    kind = attachment.mimetype or "application/octet-stream"
    if kind != _NEUTRALIZED:
        return kind
    guessed = mimetypes.guess_type(attachment.name)[0]
    if guessed is None and attachment.store_fname:
        head = attachment._file_read(attachment.store_fname, _HEAD)
        guessed = _MARKUP.match(head) and guess_mimetype(head)
    return guessed if guessed and _is_markup(guessed) else kind


def _is_markup(kind):
    return "ht" in kind or "xml" in kind and "openxmlformats" not in kind


def _with_extension(name, kind):
    return name + (mimetypes.guess_extension(kind.partition(";")[0]) or "")


# They separate folders, end a header, or can't be part of one.
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\]")
# Tokens that a file name may contain beside fields and context keys.
_OWN_TOKENS = ("number", "file_name")


class ActionFiles:
    """The file lines of a server action, compiled.

    :param env: superuser in the endpoint's company and language
    :raise ServiceError: a line is invalid
    """

    def __init__(self, action, env):
        self.lines = []
        for line in action.bwt_webhook_file_ids.sorted(
            lambda each: (each.sequence, each._origin.id or 0)
        ):
            label = line._source_label()
            try:
                line._check_one()
                self.lines.append(_CompiledLine(line, label, env))
            except ServiceError as error:
                error.where = error.where or label
                raise

    def find(self, records):
        """The files of records, in a few queries: record id -> a list per line."""
        found = {record.id: [] for record in records}
        for line in self.lines:
            with _named(line.label):
                files = line.source.find(records)
            for key, lists in found.items():
                lists.append(files[key])
        return found

    def add(self, payload, scope, found):
        """What is sent of the files of one record.

        :param found: a list of files per line, as `find` returns them
        :return: the payload with the places of base64 texts, and `QueuedFile`s
        """
        queued = []
        for line, files in zip(self.lines, found, strict=True):
            with _named(line.label):
                payload, more = line.add(payload, scope, files)
            queued += more
        return payload, queued


class _named:
    """Errors inside name the line."""

    def __init__(self, label):
        self.label = label

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _traceback):
        if isinstance(error, ServiceError):
            error.where = error.where or self.label
        return False


class _CompiledLine:
    def __init__(self, line, label, env):
        self.label = label
        self.source = line._compiled_source(env)
        self.is_required = line.is_required
        self.part_name = line.send_as == "multipart" and line.part_name.strip()
        self.paths = line._paths()
        self.content_type = (line.content_type or "").strip()
        self.name = line.file_name and compile_source(
            env, "literal", None, line.file_name, as_typed=True
        )

    def add(self, payload, scope, files):
        if self.is_required and not files:
            raise ConfigurationError(
                _lt(
                    "the record has no such file. Add it and press Queue, or turn off "
                    "Required."
                )
            )
        sent = [
            (self._name(scope, number, file), self.content_type or file.content_type)
            for number, file in enumerate(files, 1)
        ]
        if self.part_name:
            places = [self.part_name] * len(files)
        else:
            payload, places = reserve_places(payload, self.paths, sent, scope.empty)
        return payload, [
            QueuedFile(place, name, kind, file, not self.part_name)
            for place, (name, kind), file in zip(places, sent, files, strict=True)
        ]

    def _name(self, scope, number, file):
        name = file.name
        if self.name:
            values = scope.context_values
            own = dict(zip(_OWN_TOKENS, (str(number), file.name), strict=True))
            scope.context_values = {**values, **own}
            try:
                name = self.name(scope)
            finally:
                scope.context_values = values
        return storable_text(_NOT_IN_NAMES.sub("_", name).strip() or "file")


def compile_files(action, env):
    """The `ActionFiles` of a server action; None without lines.

    :raise ServiceError: a line is invalid
    """
    return ActionFiles(action, env) if action.bwt_webhook_file_ids else None
