# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files of a delivery as attachments with content, type, name and part headers."""

import json

from odoo import api, fields, models
from odoo.tools import SQL

from ..services.errors import ConfigurationError, _lt
from ..services.files import each_file
from .const import DELIVERY, GROUP_OPERATOR


class IrAttachment(models.Model):
    """A file that a delivery sends has a part; its form field is the description.

    Files of messages have a description too (Odoo sets it to their name) and no part.
    """

    _inherit = "ir.attachment"

    bwt_webhook_part = fields.Text(
        string="Webhook Part",
        readonly=True,
        prefetch=False,
        groups=GROUP_OPERATOR,
        help="Content type as given and headers of the part. Odoo's own content "
        "type may differ: it turns HTML and XML into plain text so that "
        "browsers don't run them.",
    )
    bwt_webhook_content_type = fields.Char(
        string="Content Type",
        compute="_compute_bwt_webhook_content_type",
        groups=GROUP_OPERATOR,
        help="Content type with which the file is sent.",
    )
    bwt_webhook_link = fields.Char(
        string="Download Link",
        compute="_compute_bwt_webhook_link",
        groups=GROUP_OPERATOR,
        help="Address of the content. The server checks who opens it.",
    )

    @api.depends("bwt_webhook_part", "mimetype")
    def _compute_bwt_webhook_content_type(self):
        for file in self:
            part = json.loads(file.bwt_webhook_part or "{}")
            file.bwt_webhook_content_type = part.get("content_type", file.mimetype)

    def _compute_bwt_webhook_link(self):
        for file in self:
            file.bwt_webhook_link = f"/web/content/{file.id}?download=true"

    def _bwt_webhook_store(self, files, res_model, res_id):
        """Store files of a delivery, in their order.

        :param files: form field -> tuple or list of them, as `normalize_request_files`
            returns them
        """
        # Otherwise Odoo shrinks and recompresses large images.
        attachments = self.with_context(image_no_postprocess=True)
        return attachments.create(
            [
                self._bwt_webhook_vals(field_name, *file)
                | {"res_model": res_model, "res_id": res_id}
                for field_name, file in each_file(files)
            ]
        )

    def _bwt_webhook_vals(
        self, field, filename, content, content_type=None, headers=None
    ):
        content = content.encode() if isinstance(content, str) else content
        if not content_type and filename is not None:
            # Not by Odoo's create, whose result depends on the user.
            content_type = self._compute_mimetype({"name": filename, "raw": content})
        part = {"content_type": content_type or None}
        if headers:
            part["headers"] = headers
        if not filename:
            part["filename"] = filename
        return {
            "name": filename or field,
            "description": field,
            "raw": content,
            "mimetype": content_type or "application/octet-stream",
            "bwt_webhook_part": json.dumps(part),
        }

    @api.model
    def _bwt_webhook_store_record_files(self, files_of):
        """Store files of records with deliveries, in their order.

        A file that an attachment stores is neither read nor copied: the new attachment
        has the same stored file. Odoo deletes that only when no attachment refers to
        it, so the delivery keeps its bytes if the first one is changed or deleted.

        :param files_of: delivery id -> list of `QueuedFile`
        """
        every = [(key, each) for key, files in files_of.items() for each in files]
        if not every:
            return
        made = self.with_context(image_no_postprocess=True).create(
            [
                {
                    "name": each.name,
                    "description": each.field,
                    "mimetype": each.content_type,
                    "bwt_webhook_part": json.dumps(
                        {"content_type": each.content_type}
                        | ({"in_payload": True} if each.in_payload else {})
                    ),
                    "res_model": DELIVERY,
                    "res_id": key,
                }
                | ({"raw": each.file.content} if each.file.content else {})
                for key, each in every
            ]
        )
        pairs = [
            (attachment.id, each.file.attachment_id)
            for attachment, (_key, each) in zip(made, every, strict=True)
            if each.file.attachment_id
        ]
        if pairs:
            made._bwt_webhook_share(pairs)

    def _bwt_webhook_share(self, pairs):
        """Let attachments have the stored file of others; pairs of ids.

        A file in a storage of another addon (``code://path``) is copied: OCA's
        fs_attachment renames it with its attachment.
        """
        stored = ("store_fname", "db_datas", "file_size", "checksum")
        self.env["ir.attachment"].flush_model(stored)
        rows = self.env.execute_query(
            SQL(
                """UPDATE ir_attachment shared
                SET store_fname = source.store_fname, db_datas = source.db_datas,
                    file_size = source.file_size, checksum = source.checksum
                FROM unnest(%s::int[], %s::int[]) pair(id, source_id)
                JOIN ir_attachment source ON source.id = pair.source_id
                WHERE shared.id = pair.id
                AND COALESCE(source.store_fname, '') NOT LIKE '%%://%%'
                RETURNING shared.id""",
                [each for each, _source in pairs],
                [source for _each, source in pairs],
            )
        )
        self.invalidate_recordset([*stored, "raw", "datas"], flush=False)
        shared = {row[0] for row in rows}
        for attachment_id, source_id in pairs:
            if attachment_id not in shared:
                self.browse(attachment_id)._bwt_webhook_copy_file(source_id)

    def _bwt_webhook_copy_file(self, source_id):
        source = self.browse(source_id).exists()
        if not source:
            raise ConfigurationError(
                _lt("a file was deleted while it was queued. Queue the delivery again.")
            )
        # The type is given: otherwise it is guessed from the content.
        content = source._bwt_webhook_content()
        self.write({"raw": content, "mimetype": self.mimetype})

    @api.model
    def _bwt_webhook_remove(self, delivery_ids):
        """Remove the files to send of these deliveries, in the caller's transaction.

        Not by `unlink`, which invalidates the whole cache: the save that runs a server
        action may be using it.
        """
        self.flush_model(["res_model", "res_id", "bwt_webhook_part", "store_fname"])
        rows = self.env.execute_query(
            SQL(
                """DELETE FROM ir_attachment
                WHERE res_model = %s AND res_id = ANY(%s)
                AND bwt_webhook_part IS NOT NULL
                RETURNING id, store_fname""",
                DELIVERY,
                list(delivery_ids),
            )
        )
        for name in {name for _id, name in rows if name}:
            self._file_delete(name)  # only if no attachment refers to it
        self.browse(row[0] for row in rows).invalidate_recordset(flush=False)

    def _bwt_webhook_copy_to(self, res_id):
        """Copy files to another delivery, in their order, unchanged."""
        for attachment in self.sorted("id").with_context(image_no_postprocess=True):
            if attachment.sudo().bwt_webhook_part:
                attachment._bwt_webhook_content()  # raises if its file is missing
            attachment.copy({"res_id": res_id})

    def _bwt_webhook_content(self):
        """The bytes of this file.

        :raise ConfigurationError: it is missing in the file store, which Odoo reads as
            an empty file
        """
        content = self.raw or b""
        if len(content) != self.file_size:
            raise ConfigurationError(
                _lt(
                    'file "%(name)s" is missing or damaged in the file store: '
                    "%(found)s of %(size)s bytes. Restore it from a backup, or attach "
                    "it again in a new delivery."
                ),
                name=self.name,
                found=len(content),
                size=self.file_size,
            )
        return content

    def _bwt_webhook_in_payload(self):
        """True if it is sent as base64 in the payload: its description is the path."""
        return '"in_payload": true' in (self.bwt_webhook_part or "")

    def _bwt_webhook_file(self):
        """This file as `normalize_request_files` takes it.

        A dict, which rules can read by paths; a tuple for a part without a file name.
        :raise ConfigurationError: its content is missing
        """
        content = self._bwt_webhook_content()
        part = json.loads(self.bwt_webhook_part)
        content_type = part.get("content_type", self.mimetype)
        if not part.get("filename", True):
            return (part["filename"], content, content_type, part.get("headers"))
        file = {"filename": self.name, "content": content, "content_type": content_type}
        return file | ({"headers": part["headers"]} if "headers" in part else {})
