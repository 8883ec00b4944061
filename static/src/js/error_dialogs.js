import {WarningDialog, odooExceptionTitleMap} from "@web/core/errors/error_dialogs";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";

// Odoo's client knows errors by their exact name, not by what they inherit: without
// this a refusal is shown as a crash, and what it says as a traceback.
for (const name of ["WebhookValidationError", "WebhookProcessingConfigurationError"]) {
  const exception = `odoo.addons.bwt_webhooks_outbound.exceptions.${name}`;
  registry.category("error_dialogs").add(exception, WarningDialog);
  odooExceptionTitleMap.set(exception, _t("Validation Error"));
}
