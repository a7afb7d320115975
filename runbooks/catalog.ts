/** Every runbook by its id. Alerts, stacks and the checklist name runbooks by these ids and by nothing else. */
export const runbookTitles = {
  'region-failover': 'Move to a standby region because the primary is lost',
  'region-switchover': 'Move to a standby region on purpose, without loss',
  'region-failback': 'Return to the original region afterwards',
  restore: 'Make a new database from a backup',
  drill: 'Rehearse a failover and measure it',
} as const;

export type RunbookId = keyof typeof runbookTitles;
