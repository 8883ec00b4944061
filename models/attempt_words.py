# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json

from odoo import api, fields, models

from ..services.curl import as_curl
from ..services.errors import ServiceError
from ..services.request import OutboundRequest
from ..services.transport import build_transport_kwargs, flatten_form_data
from ..services.wire import encode


class AttemptWords(models.AbstractModel):
    """The request of an attempt as a command for a terminal."""

    _name = "bwt.webhook.outbound.delivery.attempt.words"
    _description = "Outbound Webhook Attempt: Words"

    curl_command = fields.Text(
        string="cURL",
        compute="_compute_curl_command",
        help="This request as a command for a terminal; secrets are masked.",
    )

    @api.depends("http_method", "target_url", "request_headers_json", "payload_json")
    def _compute_curl_command(self):
        for attempt in self:
            attempt.curl_command = attempt._as_curl()

    def _as_curl(self):
        """The command; the body is made from what the attempt keeps of it."""
        headers = json.loads(self.request_headers_json or "{}")
        mode, body = self.request_body_mode, self.payload_json
        form, files = None, ()
        if mode in ("form_urlencoded", "multipart"):
            payload = _loaded(body)
            if mode == "multipart":
                form, body = flatten_form_data(payload), None
                files = (self.multipart_file_keys or "").split(", ")
                headers.pop("Content-Type", None)  # holds the boundary of that body
            else:
                body = self._form_body(payload)
        if not self.target_url:
            return False
        return as_curl(
            self.http_method, self.target_url, headers, body, form=form, files=files
        )

    def _form_body(self, payload):
        request = OutboundRequest("https://x/", "post", "form_urlencoded", {}, payload)
        try:
            return encode(build_transport_kwargs(request)).body
        except ServiceError:
            return None


def _loaded(text):
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}
