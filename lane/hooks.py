# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What other addons do with an answer, after the result is safe on disk."""

from dataclasses import dataclass

from .prepare import describe


@dataclass(frozen=True)
class Response:
    """The answer as hooks see it: headers by name, the body as text."""

    status_code: int
    headers: dict
    text: str


def run_response_hooks(deliveries, plan, endings):
    """Call `_handle_outbound_response` for each answer, each under a savepoint.

    A hook that fails leaves a note; what it wrote is rolled back and the delivery stays
    as it ended.
    """
    deliveries = deliveries.with_context(plan.context, outbound_plan=plan)
    deliveries.env.invalidate_all(flush=False)
    for ending in endings:
        answer = ending.answer
        if answer is None or answer.status_code is None:
            continue
        delivery = deliveries.browse(ending.claimed.id)
        response = Response(answer.status_code, dict(answer.headers), answer.text)
        try:
            with delivery.env.cr.savepoint():
                delivery._handle_outbound_response(
                    response, ending.state, ending.prepared.outcome
                )
                delivery.env.flush_all()
        except Exception as error:
            delivery.env.invalidate_all(flush=False)
            said = delivery.env._(
                "The response hook failed: %s", describe(delivery.env, error)
            )
            note = "\n".join(filter(None, [delivery.processing_note, said]))
            delivery.write({"processing_note": note})
            delivery.env.flush_all()
