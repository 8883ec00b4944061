# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Errors that name the record they are about."""

from odoo.tools import SQL

from ..exceptions import WebhookProcessingConfigurationError, WebhookValidationError
from ..lane.translation import translate
from ..services.errors import ServiceError
from .const import DELIVERY, ENDPOINT, HANDLER


def capitalized(text) -> str:
    """A message that follows a name, as a separate sentence."""
    return text[:1].upper() + text[1:]


def form_warning(env, error) -> dict:
    """What an onchange returns to warn about an error that saving would raise."""
    return {
        "warning": {
            "title": env._("This can't work"),
            "message": capitalized(translate(env, error)),
            "type": "notification",
        }
    }


def _kind(record) -> str:
    """What screens call such a record: Endpoint, not Outbound Webhook Endpoint."""
    env = record.env
    labels = {
        ENDPOINT: env._("Endpoint"),
        DELIVERY: env._("Delivery"),
        HANDLER: env._("Handler"),
    }
    return labels.get(record._name) or env["ir.model"]._get(record._name).sudo().name


def _named(record, error) -> str:
    """`Endpoint "Shop orders" (shop-orders): what is wrong and what to do`."""
    label = _kind(record)
    code = record.sudo()["code"] if "code" in record._fields else ""
    name = f'{label} "{record.sudo().display_name}"' + (f" ({code})" if code else "")
    return f"{name}: {error}"


def refused(record, error) -> WebhookValidationError:
    """An action that the state of the record doesn't allow; `error`: as above."""
    return _about(record, error, WebhookValidationError)


def lock_in_state(record, *states):
    """Lock a record until the transaction ends, and refuse it in any other state.

    For buttons of what jobs move on at the same moment.
    """
    env = record.env
    env.flush_all()
    env.cr.execute(
        SQL(
            "SELECT id FROM %s WHERE id = %s FOR NO KEY UPDATE",
            SQL.identifier(record._table),
            record.id,
        )
    )
    record.invalidate_recordset()
    if record.state not in states:
        raise in_other_state(record)


def in_other_state(record) -> WebhookValidationError:
    """A button that the state of the record doesn't allow."""
    labels = dict(record._fields["state"]._description_selection(record.env))
    return refused(
        record,
        record.env._(
            "it is in state %s. Use the buttons that its form shows in that state.",
            labels[record.state],
        ),
    )


def misconfigured(record, error) -> WebhookProcessingConfigurationError:
    """An invalid setting; `error`: translated text or a service error."""
    return _about(record, error, WebhookProcessingConfigurationError)


def _about(record, error, kind):
    if isinstance(error, ServiceError):
        error = translate(record.env, error)
    found = kind(_named(record, error))
    # For bulk actions, which name the records of many such errors together.
    found.record, found.reason = record, str(error)
    return found
