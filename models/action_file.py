# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which files of a record a server action sends, and how."""

import re

from odoo import api, fields, models

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.files import file_tuple
from ..services.headers import check_header
from ..services.payload_files import (
    STAR,
    check_collisions,
    check_file_paths,
    list_path,
)
from .action_changes import changes_path
from .configuration_audit import owners, owners_of_new, recorded
from .errors import form_warning, misconfigured
from .file_selection import ATTACHMENT, Attachments, BinaryField
from .path_reader import check_path, is_limited, reader_env
from .record_payload import refuse_limited_fields
from .record_selection import RecordSelection
from .value_source import compile_source, source_paths

MODEL = "bwt.webhook.outbound.action.file"
PATH_FIELDS = ("payload_path", "name_path", "type_path")
# What a file is found by, beside its action.
_FOUND_BY = ("source_kind", "source_expression", "list_domain", "file_name")
FILE_FIELDS = (
    *_FOUND_BY,
    "sequence",
    "list_order",
    "list_limit",
    "send_as",
    "part_name",
    *PATH_FIELDS,
    "content_type",
    "is_required",
)
_TYPE = re.compile(r"[^\s/;]+/[^\s/;]+\s*(;.*)?")
_HEAD = ("_model", "_id", "_action")  # keys that "Fields of the Record" writes


class BwtWebhookOutboundActionFile(models.Model):
    """Files that a server action sends: a binary field, or attachments of the record.

    As parts of a multipart request, or as base64 inside the payload.
    """

    _name = MODEL
    _description = "Outbound Webhook Server Action File"
    _order = "sequence, id"

    action_id = fields.Many2one(
        comodel_name="ir.actions.server",
        required=True,
        ondelete="cascade",
        index=True,
        help="The server action that sends the files.",
    )
    sequence = fields.Integer(
        default=10, help="Files are sent in the order of their lines."
    )
    model_name = fields.Char(
        compute="_compute_model_name", help="Model of the records of the action."
    )
    path_model = fields.Char(
        compute="_compute_model_name",
        help="Model at which the path starts: its fields are offered for the path.",
    )
    source_kind = fields.Selection(
        selection=[
            ("attachments", "Attachments"),
            ("binary_field", "Binary Field"),
        ],
        string="Files From",
        required=True,
        default="attachments",
        help="Attachments: those of the record, or of the records behind a path. "
        "Binary Field: the content of a field, such as image_1920.",
    )
    source_expression = fields.Char(
        string="Path",
        help="Attachments: empty for those of the record itself, or a path to other "
        "records, such as partner_id or invoice_ids.*; a path to attachments takes "
        "these. Binary Field: the path of the field, such as "
        "order_line.*.product_id.image_1920.",
    )
    list_domain = fields.Char(
        string="Filter",
        help="Attachments: which of them are sent, as a filter with plain values, "
        'such as [("mimetype", "=", "application/pdf")]. Empty: all.',
    )
    list_order = fields.Char(
        string="Order",
        help="Attachments: stored fields of these, such as name or create_date desc. "
        "Empty: the oldest first.",
    )
    list_limit = fields.Integer(
        string="Limit",
        help="Attachments: how many are sent at most per record. 0: no limit.",
    )
    is_required = fields.Boolean(
        string="Required",
        help="Without a file the delivery can't be built: it is stored in Error, where "
        "Queue builds it again. Otherwise it is sent without the file.",
    )
    send_as = fields.Selection(
        selection=[
            ("multipart", "Multipart Part"),
            ("base64", "Base64 in the Payload"),
        ],
        required=True,
        default="multipart",
        help="Multipart Part: each file is a part of a multipart request, which the "
        "endpoint's Request Body must be. Base64 in the Payload: the content is a text "
        "in the payload, for JSON and all that is made of it.",
    )
    part_name = fields.Char(
        help="Multipart: name of the form field, such as document. Several files have "
        "parts of the same name."
    )
    payload_path = fields.Char(
        help="Base64: dotted path of the content in the payload, such as "
        "document.content, or documents.*.content for several files."
    )
    name_path = fields.Char(
        string="Path of the Name",
        help="Base64: path of the file name in the payload, such as "
        "documents.*.filename. Empty: it isn't sent.",
    )
    type_path = fields.Char(
        string="Path of the Type",
        help="Base64: path of the content type in the payload, such as "
        "documents.*.mimetype. Empty: it isn't sent.",
    )
    file_name = fields.Char(
        help="Name under which the file is sent, such as {record.name}.pdf. {number} "
        "counts the files of the line from 1, {file_name} is the file's own name. "
        "Empty: its own name."
    )
    content_type = fields.Char(
        help="Content type under which the file is sent, such as application/pdf. "
        "Empty: its own."
    )
    limited_to_user_id = fields.Many2one(
        comodel_name="res.users",
        string="Reads As",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The user who saved the line without Settings rights: it reads only what "
        "this user may read. Empty when a Settings administrator or code saved it.",
    )

    @api.depends("action_id.model_id")
    @api.depends_context("webhook_model_name")
    def _compute_model_name(self):
        given = self.env.context.get("webhook_model_name")
        for line in self:
            line.model_name = line.action_id.sudo().model_id.model or given
            line.path_model = line.model_name

    @api.depends("send_as", "part_name", "payload_path")
    def _compute_display_name(self):
        for line in self:
            line.display_name = line._target()

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = [{**vals, **self._reader_values()} for vals in vals_list]
        with recorded(self.env, owners_of_new(self, vals_list)):
            return super().create(vals_list)

    def write(self, vals):
        if {"action_id", *_FOUND_BY} & vals.keys():
            vals = {"limited_to_user_id": False, **vals, **self._reader_values()}
        elif "limited_to_user_id" in vals and not self.env.su:
            vals = {name: vals[name] for name in vals if name != "limited_to_user_id"}
        with recorded(self.env, owners(self)):
            return super().write(vals)

    def unlink(self):
        with recorded(self.env, owners(self)):
            return super().unlink()

    @api.model
    def _reader_values(self):
        return {"limited_to_user_id": self.env.uid} if is_limited(self.env) else {}

    # Checked when saved

    @api.constrains("action_id", *FILE_FIELDS)
    def _check_file(self):
        for line in self:
            try:
                line._check_one()
            except ServiceError as error:
                error.where = line._source_label()
                raise misconfigured(line.action_id, error) from error
        for action in self.action_id:
            check_payload_paths(action)

    @api.onchange(*FILE_FIELDS)
    def _onchange_file(self):
        """Warn while editing about what saving would refuse."""
        if not self._is_filled_in():
            return None
        try:
            self._check_one()
        except ServiceError as error:
            error.where = self._source_label()
            return form_warning(self.env, error)
        return None

    def _is_filled_in(self):
        """False for a line that was just added."""
        has_source = self.source_expression or self.source_kind == "attachments"
        return bool(self._target() and has_source)

    def _check_one(self):
        """Raise ServiceError if the line is invalid for the action's model."""
        self._check_target()
        if self.content_type:
            check_header("Content-Type", self.content_type)
            if not _TYPE.fullmatch(self.content_type.strip()):
                raise ConfigurationError(
                    _lt(
                        'content type "%(type)s" is not valid. Write it as in '
                        "application/pdf."
                    ),
                    type=self.content_type,
                )
        self._check_name()
        if self.model_name in self.env:
            self._compiled_source(self.env)

    def _check_target(self):
        if self.send_as == "multipart":
            if not (self.part_name or "").strip():
                raise ConfigurationError(
                    _lt("the part name is empty. Enter one, such as document.")
                )
            file_tuple(self.part_name.strip(), {"content": b""})
        else:
            paths = self._paths()
            check_file_paths(*paths)
            if list_path(paths[0]) is None and self._may_be_several():
                raise ConfigurationError(
                    _lt(
                        'payload path "%(path)s" takes one file, and there may be '
                        "several. Write it as in documents.*.content, or set the "
                        "limit to 1."
                    ),
                    path=paths[0],
                )
        self._check_body_mode()

    def _may_be_several(self):
        if self.source_kind == "attachments":
            return self.list_limit != 1
        return STAR in (self.source_expression or "").split(".")

    def _check_body_mode(self, endpoint=None):
        """Refuse a way that the endpoint's request body can't carry.

        :param endpoint: as it is about to be; by default that of the action
        """
        endpoint = endpoint or self.action_id.bwt_webhook_endpoint_id.sudo()
        # A handler or a backend may choose another body mode for each request.
        if not endpoint or endpoint.handler_id or endpoint.connector_backend_ref:
            return
        mode = endpoint.request_body_mode
        shown = dict(endpoint._fields["request_body_mode"].selection)[mode]
        if self.send_as == "multipart" and mode != "multipart":
            raise ConfigurationError(
                _lt(
                    "the request body of the endpoint is %(mode)s, which can't carry "
                    "parts. Choose Multipart there, or send the file as Base64 in the "
                    "Payload."
                ),
                mode=shown,
            )
        if self.send_as == "base64" and mode == "raw" and not endpoint._makes_body():
            raise ConfigurationError(
                _lt(
                    "the request body of the endpoint is %(mode)s without a template, "
                    "which has no payload paths. Choose JSON there, or write a body "
                    "template."
                ),
                mode=shown,
            )

    def _check_name(self):
        for kind, path in source_paths("literal", None, self.file_name or ""):
            if kind == "record_field" and self.model_name in self.env:
                self._check_path(self.model_name, path)
        compile_source(self.env, "literal", None, self.file_name, as_typed=True)

    def _check_path(self, model_name, path):
        """Refuse what may not be sent, or not by the user who saves the line."""
        refuse_limited_fields(self.env, model_name, path)
        reader = self.limited_to_user_id.id or self._reader_values().get(
            "limited_to_user_id"
        )
        if reader:
            check_path(reader_env(self.env, reader), model_name, path)

    def _paths(self):
        return tuple((self[name] or "").strip() for name in PATH_FIELDS)

    def _source_label(self):
        return self.env._('file "%s"', self._target() or "")

    def _target(self):
        """The part, or the path in the payload."""
        return self.part_name if self.send_as == "multipart" else self.payload_path

    # Compiled

    def _compiled_source(self, env):
        """What finds the files: `BinaryField` or `Attachments`.

        :raise ServiceError: the line is invalid
        """
        path = (self.source_expression or "").strip()
        reader = self.limited_to_user_id.id or None
        if self.source_kind == "binary_field":
            if not path:
                raise ConfigurationError(
                    _lt("the path is empty. Enter a binary field, such as image_1920.")
                )
            source = BinaryField(env, self.model_name, path, reader)
            self._check_path(self.model_name, path)
            return source
        selection = RecordSelection.of(self)
        selection.check()
        for each in selection.names():
            self._check_path(ATTACHMENT, each)
        source = Attachments(env, self.model_name, path, selection, reader)
        if path:
            self._check_path(self.model_name, path)
        return source


def check_payload_paths(action):
    """Refuse files that overwrite what other lines write into the payload.

    :raise ValidationError: names both paths
    """
    lines = action.bwt_webhook_file_ids.filtered(lambda line: line.send_as == "base64")
    if not lines:
        return
    if action.bwt_webhook_payload_mode == "rules":
        values = [rule._payload_target() for rule in action.bwt_webhook_rule_ids]
    else:
        values = [*_HEAD, *map(_key_of, action.bwt_webhook_field_ids)]
    if action.bwt_webhook_add_changes:
        values.append(changes_path(action))
    try:
        check_collisions([line._paths() for line in lines.sorted()], values)
    except ServiceError as error:
        raise misconfigured(action, error) from error


def _key_of(line):
    """The path in the payload of a field to send."""
    parts = (line.source_expression or "").strip().split(".")
    return ".".join(part for part in parts if part != STAR)
