# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The file lines of a server action, compiled: what is sent for its records."""

import re

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.payload_files import reserve_places
from ..services.values import storable_text
from .file_selection import QueuedFile
from .value_source import compile_source

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
