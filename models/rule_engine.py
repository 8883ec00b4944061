# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs compiled rules: those of an endpoint build, those of a handler decide."""

from contextlib import suppress

from ..services.conditions import evaluate_condition
from ..services.egress.target_url import origin_of
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.formats import OMITTED
from ..services.headers import content_type_of, header_text_of, set_header
from ..services.jsonable import to_json_value
from ..services.masking import mask_url
from ..services.paths import write_path
from ..services.template import escaper


def apply_payload_rules(snapshot, scope, data):
    """Write the values of the endpoint's payload rules into `data["payload"]`.

    :param data: the request so far, as `OutboundRequest.to_dict()` returns it
    :raise ServiceError: a value can't be read or written; its `where` names the rule
    """
    is_text = data["request_body_mode"] == "raw" and not scope.makes_body
    if snapshot.payload_rules and is_text:
        scope.escape = escaper(_raw_content_type(snapshot, scope, data))
    try:
        for rule in snapshot.payload_rules:
            try:
                value = rule.source.read(scope)
                if value is OMITTED:
                    continue
                value = to_json_value(value, rule.target)
                data["payload"] = write_path(
                    data["payload"], rule.target, value, owned=True
                )
            except ServiceError as error:
                error.where = error.where or rule.source.label
                raise
    finally:
        scope.escape = None


def _raw_content_type(snapshot, scope, data):
    """The Content-Type that the header rules will set."""
    found = content_type_of(data["headers"])
    for rule in snapshot.header_rules:
        if rule.target.lower() == "content-type":
            with suppress(ServiceError):  # reported where the header is built
                value = rule.source.read(scope)
                found = found if value is OMITTED else header_text_of(value)
    return found


def apply_header_rules(snapshot, scope, data, *, lenient=False):
    """Set the headers of the endpoint's header rules; raises like the payload rules.

    :param lenient: leave out headers that can't be built
    """
    for rule in snapshot.header_rules:
        try:
            value = rule.source.read(scope)
            if value is OMITTED:
                continue
            value = header_text_of(value, rule.target)
        except ServiceError as error:
            if lenient:
                continue
            error.where = rule.source.label
            raise
        set_header(data["headers"], rule.target, value)


def run_rules(rules, scope, request_data):
    """The decision of the first rule whose conditions are all met.

    :param rules: `CompiledHandlerRule`s in their order
    :param scope: `BuildScope`; its `request_data` is what request fields read
    :param request_data: the request so far; never changed
    :return: the rule (None if none matches) and a result dict with `status`, the
        request keys that changed, `note`, `seconds`, `matched_rule_id`
    :raise ServiceError: a value can't be read; its `where` names the place
    """
    scope.request_data = request_data
    for rule in rules:
        if all(_holds(condition, scope) for condition in rule.conditions):
            return rule, _result(rule, scope, request_data)
    return None, {"status": "send"}


def refuse_another_host(rule, result, request_data, snapshot):
    """Refuse a rule that sends an endpoint's secrets to another host than its own.

    :param result: the decision of the rule
    :param snapshot: of the endpoint; a backend may add secrets as headers
    :raise ConfigurationError: names rule and URL
    """
    url = result.get("target_url")
    trust = snapshot.trust
    secrets = (trust.credential, trust.signature, trust.client_certificate)
    if not url or not (snapshot.has_backend or any(secrets)):
        return
    if origin_of(str(url)) != origin_of(request_data["target_url"]):
        raise ConfigurationError(
            _lt(
                'rule "%(rule)s" sends to %(url)s, which is not the host that the '
                "endpoint's secrets were entered for. Create an endpoint for that "
                "host, or remove backend, authentication, signature and "
                "certificate here."
            ),
            rule=rule.name,
            url=mask_url(str(url)),
        )


def _holds(condition, scope):
    actual = condition.source.value(scope)
    if actual is OMITTED:
        actual = None
    try:
        return evaluate_condition(actual, condition.operator, condition.expected)
    except ServiceError as error:
        error.where = condition.source.label
        raise


def _result(rule, scope, request_data):
    result = {"status": rule.status, "matched_rule_id": rule.id}
    if rule.status == "retry":
        result["seconds"] = rule.seconds
    if rule.note:
        result["note"] = rule.note
    if rule.assignments:
        result |= _assigned(rule.assignments, scope, request_data)
    return result


def _assigned(assignments, scope, request_data):
    """The parts of the request that the assignments change, after the change."""
    data = scope.request_data = dict(request_data)
    changed = {}
    for assignment in assignments:
        scope.escape = _escape_of(assignment, data, scope)
        try:
            value = assignment.source.value(scope)
        finally:
            scope.escape = None
        if value is OMITTED:
            continue
        try:
            part = _ASSIGN[assignment.scope](data, changed, assignment.target, value)
        except ServiceError as error:
            error.where = assignment.source.label
            raise
        changed[part] = data[part]
    return changed


def _escape_of(assignment, data, scope):
    """How to escape values in the text of an assignment that sets the raw body."""
    if assignment.scope != "payload" or data["request_body_mode"] != "raw":
        return None
    if scope.makes_body and assignment.target:  # a value that the template escapes
        return None
    return escaper(content_type_of(data["headers"]))


def _assign_request(data, changed, target, value):
    data[target] = value
    return target


def _assign_header(data, changed, target, value):
    if "headers" not in changed:
        data["headers"] = dict(data["headers"])
    set_header(data["headers"], target, header_text_of(value, target))
    return "headers"


def _assign_payload(data, changed, target, value):
    if "payload" not in changed:
        payload = data["payload"]
        # The previous request stays unchanged: the attempt may show it.
        data["payload"] = payload if type(payload) is bytes else to_json_value(payload)
    value = to_json_value(value, target)
    data["payload"] = write_path(data["payload"], target, value, owned=True)
    return "payload"


_ASSIGN = {
    "request": _assign_request,
    "header": _assign_header,
    "payload": _assign_payload,
}
