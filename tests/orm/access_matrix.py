# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who may do what, written by hand; test_access_matrix compares it with what happens.

One column per user, + allowed, - refused with an AccessError:

    public, portal, internal user, operator, administrator,
    operator of another company, administrator of another company
"""

USERS = (
    "public",
    "portal",
    "internal",
    "operator",
    "administrator",
    "other operator",
    "other administrator",
)

NOBODY = "- - - - - - -"
READERS = "- - - + + - -"
ADMINISTRATOR = "- - - - + - -"
USERS_OF_THE_COMPANY = "- - + + + - -"

CONFIGURATION = {
    "read": READERS,
    "write": ADMINISTRATOR,
    "create": ADMINISTRATOR,
    "unlink": ADMINISTRATOR,
}
DIALOG = dict.fromkeys(("read", "write", "create", "unlink"), ADMINISTRATOR)
RECORD = {"read": READERS, "write": NOBODY, "create": NOBODY, "unlink": NOBODY}

MATRIX = {
    "bwt.webhook.handler": {**CONFIGURATION, "action_compare": ADMINISTRATOR},
    "bwt.webhook.outbound.handler.rule": CONFIGURATION,
    "bwt.webhook.outbound.handler.rule.condition": CONFIGURATION,
    "bwt.webhook.outbound.handler.rule.assignment": CONFIGURATION,
    "bwt.webhook.outbound.endpoint": {
        # A salesperson's order finds its endpoint: name, code, state and company.
        "read": USERS_OF_THE_COMPANY,
        "write": ADMINISTRATOR,
        "create": ADMINISTRATOR,
        "unlink": ADMINISTRATOR,
        "action_activate": ADMINISTRATOR,
        "action_set_draft": ADMINISTRATOR,
        "action_archive": ADMINISTRATOR,
        "action_pause": READERS,
        "action_resume": READERS,
        "action_reset_circuit": READERS,
        "action_generate_secret": ADMINISTRATOR,
        "action_remove_client_certificate": ADMINISTRATOR,
        "action_send_test": ADMINISTRATOR,
        "action_export_configuration": ADMINISTRATOR,
        "action_backfill": ADMINISTRATOR,
        "action_compare": ADMINISTRATOR,
        "action_duplicate_for_trial": ADMINISTRATOR,
        "action_check_runner": READERS,
        "action_recover": READERS,
        "action_view_outbound_deliveries": READERS,
        "action_view_failed_outbound_deliveries": READERS,
    },
    "bwt.webhook.outbound.endpoint.answer.rule": CONFIGURATION,
    "bwt.webhook.outbound.endpoint.answer.value": CONFIGURATION,
    "bwt.webhook.outbound.external.ref": {
        **CONFIGURATION,
        "action_view_record": READERS,
    },
    "bwt.webhook.outbound.endpoint.header.rule": CONFIGURATION,
    "bwt.webhook.outbound.endpoint.payload.rule": CONFIGURATION,
    "bwt.webhook.outbound.endpoint.health": RECORD,
    "bwt.webhook.outbound.endpoint.hour": RECORD,
    "bwt.webhook.outbound.endpoint.skip": RECORD,
    "bwt.webhook.outbound.endpoint.token": {
        "read": NOBODY,
        "write": NOBODY,
        "create": NOBODY,
        "unlink": NOBODY,
    },
    "bwt.webhook.outbound.delivery": {
        # Operators work deliveries by their buttons and change nothing of what is sent.
        **CONFIGURATION,
        "action_queue_delivery": READERS,
        "action_send_now": READERS,
        "action_retry_now": READERS,
        "action_reset_to_draft": READERS,
        "action_cancel_delivery": READERS,
        "action_dead_letter": READERS,
        "action_create_replay_delivery": READERS,
        "action_bulk": READERS,
        # Searches: those of another company find none of these.
        "action_bulk_search": "- - - + + + +",
        "action_bulk_question": "- - - + + + +",
        "action_view_queue_jobs": READERS,
        "action_view_record": READERS,
    },
    "bwt.webhook.outbound.delivery.context_line": CONFIGURATION,
    # Append-only: not even an administrator changes what was sent.
    "bwt.webhook.outbound.delivery.attempt": RECORD,
    "bwt.webhook.outbound.delivery.report": RECORD,
    "bwt.webhook.outbound.secret": {**DIALOG, "action_generate": ADMINISTRATOR},
    "bwt.webhook.outbound.export.configuration": {
        **DIALOG,
        "action_download": ADMINISTRATOR,
    },
    "bwt.webhook.outbound.import.configuration": {
        **DIALOG,
        "action_check": ADMINISTRATOR,
        "action_import": ADMINISTRATOR,
        "action_back": ADMINISTRATOR,
    },
    "bwt.webhook.outbound.send.test": {
        **DIALOG,
        "action_preview": ADMINISTRATOR,
        "action_send": ADMINISTRATOR,
        "action_back": ADMINISTRATOR,
        "action_stop_retries": ADMINISTRATOR,
        "action_open_delivery": ADMINISTRATOR,
    },
    "bwt.webhook.outbound.send.test.line": DIALOG,
    "bwt.webhook.outbound.recover": {
        "read": READERS,
        "write": READERS,
        "create": READERS,
        "unlink": READERS,
        "action_recover": READERS,
        "action_start_replay": READERS,
    },
    "bwt.webhook.outbound.run": {
        # Who starts one sends data, as who configures what is sent.
        **CONFIGURATION,
        "action_start_run": ADMINISTRATOR,
        "action_pause_run": READERS,
        "action_resume_run": READERS,
        "action_cancel_run": READERS,
        "action_view_deliveries": READERS,
        "action_view_not_built": READERS,
    },
    "bwt.webhook.outbound.run.delivery": {
        "read": NOBODY,
        "write": NOBODY,
        "create": NOBODY,
        "unlink": NOBODY,
    },
    "bwt.webhook.outbound.reconciliation": {
        **CONFIGURATION,
        "action_check": READERS,
        # They send data.
        "action_queue_missing": ADMINISTRATOR,
        "action_queue_failed": ADMINISTRATOR,
        "action_queue_outdated": ADMINISTRATOR,
        "action_view_never_queued": READERS,
        "action_view_failed": READERS,
        "action_view_outdated": READERS,
        "action_view_canceled": READERS,
        "action_view_waiting": READERS,
    },
    "bwt.webhook.outbound.reconciliation.result": {
        **RECORD,
        "action_view_record": READERS,
    },
    # Who deletes what others may need.
    "bwt.webhook.outbound.forget": {
        "read": ADMINISTRATOR,
        "write": ADMINISTRATOR,
        "create": "- - - - + - +",  # for the user's own company
        "unlink": ADMINISTRATOR,
        "action_search": ADMINISTRATOR,
        "action_delete_content": ADMINISTRATOR,
        "action_cancel_forget": ADMINISTRATOR,
        "action_view_deliveries": ADMINISTRATOR,
        "action_view_references": ADMINISTRATOR,
    },
    "bwt.webhook.outbound.dry.run": {
        **CONFIGURATION,
        "create": NOBODY,  # by the buttons
        "action_start_dry_run": ADMINISTRATOR,
        "action_cancel_dry_run": ADMINISTRATOR,
        "action_view_results": READERS,
        "action_view_unchanged": READERS,
        "action_view_changed": READERS,
        "action_view_cancel": READERS,
        "action_view_dead_letter": READERS,
        "action_view_done": READERS,
        "action_view_retry": READERS,
        "action_view_error": READERS,
        "action_view_not_compared": READERS,
    },
    "bwt.webhook.outbound.dry.run.result": {
        **RECORD,
        "action_view_delivery": READERS,
    },
    # Part of a server action: for Settings administrators, who are none of these.
    "bwt.webhook.outbound.action.line": {
        "read": NOBODY,
        "write": NOBODY,
        "create": NOBODY,
        "unlink": NOBODY,
    },
    "bwt.webhook.outbound.action.file": {
        "read": NOBODY,
        "write": NOBODY,
        "create": NOBODY,
        "unlink": NOBODY,
    },
}

# Public methods that RPC may call beside buttons: they check access themselves, as
# part of the ORM.
ORM_METHODS = {
    "copy_data",
    "create",
    "default_get",
    "get_empty_list_help",
    "init",
    "onchange",
    "unlink",
    "write",
}
