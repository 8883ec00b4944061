# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the lane makes of responses: conditions, and ids that are sent again."""

from receiver import hold, status

ID = {"source_expression": "id", "target_kind": "external_id"}
REF = {
    "source_expression": "id",
    "target_model": "res.partner",
    "target_field": "ref",
}


def queue_about(stage, code, record, number):
    stage.caller.run(
        "endpoint(code).queue_delivery({'n': number}, "
        "record=env['res.partner'].browse(record))",
        code=code,
        record=record,
        number=number,
    )


def test_changes_while_the_create_is_out(house, house_server, receiver, code):
    """Two changes of one record: one POST, then one PUT to what the first created.

    Otherwise the receiver has the record twice, and Odoo knows one of them.
    """
    receiver.script("/orders", hold(status(201, b'{"id": "R-77"}')))
    house.endpoint(
        code,
        receiver.url,
        "/orders",
        create_or_update=True,
        update_path="/orders/{external_id}",
        answer_value_ids=[[0, 0, ID], [0, 0, REF]],
    )
    partner = house.caller.run("result = env['res.partner'].create({'name': 'A'}).id")
    queue_about(house, code, partner, 1)
    receiver.wait_for_requests(1)
    queue_about(house, code, partner, 2)
    receiver.release()

    assert {"done": 2} == house.wait_for_end(code)

    assert [("POST", "/orders"), ("PUT", "/orders/R-77")] == [
        (each.method, each.path) for each in receiver.requests
    ]
    house.wait_for_idle(code)
    [row] = house.rows(f"SELECT ref FROM res_partner WHERE id = {partner}")
    assert "R-77" == row["ref"]
    assert ["R-77"] == [
        each["external_id"]
        for each in house.rows(
            "SELECT external_id FROM bwt_webhook_outbound_external_ref "
            f"WHERE reference_scope = '{code}'"
        )
    ]


def test_errors_in_successes(house, house_server, receiver, code):
    """200 with an error in the body ends as the condition says.

    ratelimited is retried until it is accepted; errors of GraphQL are dead letters.
    """
    limited = b'{"ok": false, "error": "ratelimited"}'
    receiver.script("/chat", status(200, limited), status(200, b'{"ok": true}'))
    receiver.script("/graphql", status(200, b'{"errors": [{"message": "no"}]}'))
    path = {"source_kind": "body_path"}
    retry = {"source_expression": "error", "expected_value": "ratelimited"}
    errors = {"source_expression": "errors", "operator": "is_set"}
    chat = house.endpoint(
        f"{code}-chat",
        receiver.url,
        "/chat",
        answer_rule_ids=[[0, 0, {**path, **retry, "outcome": "retry"}]],
    )
    graphql = house.endpoint(
        f"{code}-graphql",
        receiver.url,
        "/graphql",
        answer_rule_ids=[[0, 0, {**path, **errors, "outcome": "dead_letter"}]],
    )
    house.queue(chat)
    house.queue(graphql)

    assert {"done": 1} == house.wait_for_end(chat)
    assert {"dead_letter": 1} == house.wait_for_end(graphql)
    assert ["error", "done"] == house.attempt_states(chat)
    assert "answer" == house.delivery(graphql)["failure_reason"]
