/** Every alert of the platform, in groups that Prometheus evaluates together. */
import type { Alert } from './alert.ts';
import { capacityAlerts } from './capacity.ts';
import { dataAlerts } from './data.ts';
import { servingAlerts } from './serving.ts';

/** Alerts by the name of their group. */
export const alertGroups: Readonly<Record<string, readonly Alert[]>> = {
  serving: servingAlerts,
  capacity: capacityAlerts,
  data: dataAlerts,
};

export const alerts: readonly Alert[] = Object.values(alertGroups).flat();
