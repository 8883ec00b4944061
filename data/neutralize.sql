-- A copied database must not send: endpoints go to draft, their deliveries wait.
UPDATE bwt_webhook_outbound_endpoint
   SET state = 'draft'
 WHERE state = 'active';

UPDATE bwt_webhook_outbound_run
   SET state = 'paused'
 WHERE state = 'running';

UPDATE bwt_webhook_outbound_reconciliation
   SET schedule = 'none', state = 'idle';

-- Nor may it hold what would let it speak for the one it was copied from.
UPDATE bwt_webhook_outbound_endpoint
   SET auth_secret = NULL,
       signing_secret = NULL,
       old_secret = NULL,
       secret_expires_at = NULL,
       client_certificate = NULL;

UPDATE bwt_webhook_outbound_endpoint_token
   SET fingerprint = NULL, value = NULL, problem = NULL;

-- Its unfinished jobs are the original's: on the same server queue_job's runner would
-- find each of them twice, and stop for all databases. Failed ones count, too.
UPDATE queue_job
   SET state = 'cancelled',
       date_cancelled = now() AT TIME ZONE 'UTC',
       result = 'Cancelled: this database is a neutralized copy'
 WHERE model_name IN (
    'bwt.webhook.outbound.endpoint', 'bwt.webhook.outbound.run',
    'bwt.webhook.outbound.reconciliation'
   )
   AND state NOT IN ('done', 'cancelled');
