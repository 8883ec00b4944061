# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import models

from ..services.template import tokens


class EndpointKeys(models.AbstractModel):
    """Which context values the requests of an endpoint are made of."""

    _name = "bwt.webhook.outbound.endpoint.keys"
    _description = "Outbound Webhook Endpoint: Keys"

    def _path_keys(self):
        """The {tokens} of the path, in order, each once."""
        return list(tokens(self.target_path or "/"))

    def _token_keys(self):
        """The {tokens} of path and rules: without a value no request can be built."""
        keys = self._path_keys()
        for rule in self._active_rules():
            if rule.source_kind == "literal":
                keys += tokens(rule.literal_value or "")
        return list(dict.fromkeys(keys))

    def _context_keys(self):
        """Those, and what rules read as context keys, which may be empty."""
        keys = self._token_keys()
        for rule in self._active_rules():
            if rule.source_kind == "context_key":
                keys.append((rule.source_expression or "").split(".")[0])
        return list(dict.fromkeys(filter(None, keys)))

    def _active_rules(self):
        rules = (*self.header_rule_ids, *self.payload_rule_ids)
        return [rule for rule in rules if rule.active]

    def _missing_words(self, given):
        """`The path needs order_id`: tokens that no given key fills; False if none."""
        missing = [key for key in self._token_keys() if key not in given]
        if not missing:
            return False
        if set(missing) <= set(self._path_keys()):
            return self.env._("The path needs %s", ", ".join(missing))
        return self.env._("The request needs %s", ", ".join(missing))
