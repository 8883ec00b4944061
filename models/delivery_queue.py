# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from collections import defaultdict

from odoo import Command, api, models
from odoo.tools import SQL

from ..lane import wake
from ..lane.clock import utcnow
from ..lane.direct import DirectRun
from ..services.errors import ServiceError
from ..services.transport import normalize_request_files
from ..services.values import dumps_payload, serialize_headers
from .refusal import misconfigured, refused


class DeliveryQueue(models.AbstractModel):
    """How a delivery gets into the queue, and how it is sent without one."""

    _name = "bwt.webhook.outbound.delivery.queue"
    _description = "Outbound Webhook Delivery: Queue"

    # What asks for a delivery in code writes no chatter: a log line per order sent
    # would cost more than the delivery.
    _SILENT = {
        "tracking_disable": True,
        "mail_create_nolog": True,
        "mail_create_nosubscribe": True,
        "mail_notrack": True,
    }

    @api.model
    def _create_requested(self, endpoint, requests):
        """Create queued deliveries from the arguments of `queue_delivery`.

        One INSERT for the deliveries, one for their context lines.
        """
        now = utcnow()
        numbers = self._draw_queue_numbers(len(requests))
        label = f"{endpoint.display_name} / {now:%Y-%m-%d %H:%M:%S}"
        vals_list = []
        for number, request in zip(numbers, requests, strict=True):
            vals_list.append(
                self._requested_vals(endpoint, request)
                | {
                    "name": request.get("name") or label,
                    "state": "queued",
                    "queued_at": now,
                    "next_attempt_at": request.get("eta") or now,
                    "queue_number": number,
                }
            )
        files = [_checked_files(endpoint, request) for request in requests]
        # Everything that can be refused was refused above: nothing half-made stays
        # in the transaction of a caller that goes on after an error.
        deliveries = self.with_context(**self._SILENT).create(vals_list)
        for delivery, given in zip(deliveries, files, strict=True):
            if given:
                delivery._attach_files(given)
        return deliveries

    def _requested_vals(self, endpoint, request):
        payload, headers = request.get("payload"), request.get("headers")
        record = request.get("record")
        key = request.get("ordering_key")
        supersede = bool(request.get("supersede"))
        if record is not None:
            record.ensure_one()
        if not key and record and (supersede or endpoint.ordering == "key"):
            key = f"{record._name},{record.id}"
        if supersede and not key:
            raise refused(
                endpoint,
                self.env._(
                    "supersede needs an ordering key, or the record it is about."
                ),
            )
        lines = self.env["bwt.webhook.outbound.delivery.context_line"]
        try:
            return {
                "context_line_ids": [
                    Command.create(vals)
                    for vals in lines._vals_from(request.get("context_lines"))
                ],
                "endpoint_id": endpoint.id,
                "payload_json": "{}" if payload is None else dumps_payload(payload),
                "request_headers_json": serialize_headers(headers or {}),
                "ordering_key": key or False,
                "ordering_group": _ordering_group(endpoint.ordering, key),
                "supersede": supersede,
                "res_model": record._name if record else False,
                "res_id": record.id if record else False,
            }
        except ServiceError as error:
            raise misconfigured(endpoint, error) from error

    def _attach_files(self, files):
        """Keep files as attachments; the form field stands in their description."""
        vals_list = []
        for field_name, (filename, content, *rest) in files.items():
            if isinstance(content, str):
                content = content.encode()
            vals_list.append(
                {
                    "name": filename,
                    "description": field_name,
                    "raw": content,
                    "mimetype": rest[0] if rest else "application/octet-stream",
                    "res_model": self._name,
                    "res_id": self.id,
                }
            )
        self.env["ir.attachment"].create(vals_list)

    def _copy_files_to(self, replay):
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", self._name), ("res_id", "=", self.id)]
        )
        for attachment in attachments:
            attachment.copy({"res_id": replay.id})

    def _draw_queue_numbers(self, count):
        """Places in the queue, in order."""
        self.env.cr.execute(
            SQL(
                "SELECT nextval('bwt_webhook_outbound_queue_number') "
                "FROM generate_series(1, %s)",
                count,
            )
        )
        return [row[0] for row in self.env.cr.fetchall()]

    def _put_in_queue(self, fresh=False):
        """Make these due and wake their lanes; a new place where they have none.

        :param fresh: start the retry schedule anew
        """
        now = utcnow()
        waiting = self.filtered(lambda delivery: delivery.state != "queued")
        placeless = waiting.filtered(lambda delivery: not delivery.queue_number)
        numbers = iter(self._draw_queue_numbers(len(placeless)) if placeless else ())
        for delivery in waiting:
            vals = {
                "state": "queued",
                "queued_at": now,
                "next_attempt_at": now,
                "processed_at": False,
                "interruption_count": 0,
                "processing_error": False,
                "failure_reason": False,
            }
            if fresh:
                vals["retry_number"] = 0
            if not delivery.queue_number:
                vals["queue_number"] = next(numbers)
                vals["ordering_group"] = _ordering_group(
                    delivery.endpoint_id.ordering, delivery.ordering_key
                )
            delivery.write(vals)
        if self.endpoint_id[:1]._runs_without_jobs():
            self.process_delivery()
        else:
            self._wake_lanes(now)

    def _place_if_draft(self):
        """A delivery that is sent without having been queued gets its place now."""
        for delivery in self.filtered(lambda each: not each.queue_number):
            [number] = self._draw_queue_numbers(1)
            group = _ordering_group(
                delivery.endpoint_id.ordering, delivery.ordering_key
            )
            delivery.write(
                {
                    "queue_number": number,
                    "ordering_group": group,
                    "queued_at": delivery.queued_at or utcnow(),
                }
            )

    def _wake_lanes(self, now):
        """One wake-up per endpoint for what is due, one for the earliest later date."""
        etas = defaultdict(set)
        for delivery in self:
            due = delivery.next_attempt_at
            etas[delivery.endpoint_id].add(due if due > now else None)
        for endpoint, dates in etas.items():
            if None in dates:
                wake.wake(endpoint)
            later = dates - {None}
            if later:
                wake.wake(endpoint, eta=min(later))

    @api.private
    def process_delivery(self):
        """Build, decide, send and record now, in the caller's transaction.

        Walks the lane's steps without a commit: for tests, scripts and connector
        addons. Deliveries that ended are left alone.

        :raise ValidationError: the endpoint doesn't send at present, the delivery is
            being sent right now, or isn't first in its order
        """
        for delivery in self.sudo():
            if delivery.state in ("done", "dead_letter", "canceled"):
                continue
            if delivery.endpoint_id.is_paused:
                raise refused(
                    delivery.endpoint_id,
                    self.env._("it is paused and sends nothing. Resume it first."),
                )
            delivery.endpoint_id._check_queueable()
            DirectRun(delivery).run()


def _checked_files(endpoint, request):
    try:
        return normalize_request_files(request.get("files"))
    except ServiceError as error:
        raise misconfigured(endpoint, error) from error


def _ordering_group(ordering, key):
    return {"endpoint": "*", "key": key or False}.get(ordering, False)
