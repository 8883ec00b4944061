-- A copied database must not send: endpoints go to draft, their deliveries wait.
UPDATE bwt_webhook_outbound_endpoint
   SET state = 'draft'
 WHERE state = 'active';

-- Nor may it hold what would let it speak for the one it was copied from.
UPDATE bwt_webhook_outbound_endpoint
   SET auth_secret = NULL,
       signing_secret = NULL,
       old_secret = NULL,
       secret_expires_at = NULL,
       client_certificate = NULL;

UPDATE bwt_webhook_outbound_endpoint_token
   SET fingerprint = NULL, value = NULL, problem = NULL;
