/** Every runbook by its id. Alerts, stacks and the checklist name runbooks by these ids and by nothing else. */
export const runbookTitles = {
  'region-failover': 'Move to a standby region because the primary is lost',
  'region-switchover': 'Move to a standby region on purpose, without loss',
  'region-failback': 'Return to the original region afterwards',
  'zone-evacuation': 'Leave a zone that is ill',
  'database-restore': 'Make a new database from a backup, and use it',
  'disaster-restore': 'Bring the platform back from backups, in a region that had nothing',
  'backup-verify': 'Restore the newest backup beside all use, and read it',
  'credential-rotation': 'Give a credential a successor, without a moment in which none works',
  release: 'Bring out a version, where it does least harm first',
  upgrade: 'Raise the version of databases and clusters, replicas first',
  drill: 'Run a book on purpose, and measure it',
} as const;

export type RunbookId = keyof typeof runbookTitles;

/** The printed form of a runbook, in this repository. */
export const runbookPage = (id: RunbookId): string => `runbooks/${id}.md`;
