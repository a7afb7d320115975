import type { RotationWorld } from './credential-rotation.ts';
import type { DisasterWorld } from './disaster-restore.ts';
import type { DrillWorld } from './drill.ts';
import type { FailbackWorld } from './region-failback.ts';
import type { ReleaseWorld } from './release.ts';
import type { UpgradeWorld } from './upgrade.ts';
import type { ZoneWorld } from './zone-evacuation.ts';

/** Everything that any book needs. A world that cannot do a thing says so when it is asked for it. */
export interface World
  extends FailbackWorld,
    ZoneWorld,
    DisasterWorld,
    RotationWorld,
    ReleaseWorld,
    UpgradeWorld,
    DrillWorld {}
