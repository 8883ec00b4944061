-- A copied database must not send: endpoints go to draft, their deliveries wait.
UPDATE bwt_webhook_outbound_endpoint
   SET state = 'draft'
 WHERE state = 'active';
