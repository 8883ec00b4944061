# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files of a delivery as attachments with content, type, name and part headers."""

import json

from odoo import fields, models

from ..services.errors import ConfigurationError, _lt
from .const import GROUP_OPERATOR


class IrAttachment(models.Model):
    """A file of a delivery: its form field is the description of the attachment."""

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

    def _bwt_webhook_store(self, files, res_model, res_id):
        """Store files of a delivery, in their order.

        :param files: form field -> tuple, as `normalize_request_files` returns them
        """
        # Otherwise Odoo shrinks and recompresses large images.
        attachments = self.with_context(image_no_postprocess=True)
        return attachments.create(
            [
                self._bwt_webhook_vals(field_name, *file)
                | {"res_model": res_model, "res_id": res_id}
                for field_name, file in files.items()
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

    def _bwt_webhook_copy_to(self, res_id):
        """Copy files to another delivery, in their order, unchanged."""
        for attachment in self.sorted("id").with_context(image_no_postprocess=True):
            if attachment.description:
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

    def _bwt_webhook_file(self):
        """This file as `normalize_request_files` takes it.

        A dict, which rules can read by paths; a tuple for a part without a file name.
        :raise ConfigurationError: its content is missing
        """
        content = self._bwt_webhook_content()
        part = json.loads(self.bwt_webhook_part or "{}")
        content_type = part.get("content_type", self.mimetype)
        if not part.get("filename", True):
            return (part["filename"], content, content_type, part.get("headers"))
        file = {"filename": self.name, "content": content, "content_type": content_type}
        return file | ({"headers": part["headers"]} if "headers" in part else {})
