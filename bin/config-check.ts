/** `holdfast config check FILE` */
import { formatFault } from '../gateway/config/load.ts';
import { readConfig } from '../gateway/read-config.ts';
import { readSettings } from '../gateway/settings.ts';
import { describeStartError } from '../gateway/start-error.ts';
import { fail, say } from './say.ts';

export async function checkConfig(file: string): Promise<number> {
  try {
    const { config, warnings } = await readConfig({ ...readSettings(), configPath: file, configIsNamed: true });
    for (const warning of warnings) say(`warning: ${formatFault(file, warning)}`);
    const deployments = [...config.groups.values()].flat().length;
    say(`${file} is good: ${config.groups.size} model groups, ${deployments} deployments.`);
    return 0;
  } catch (error) {
    const { message, exitCode } = describeStartError(error);
    return fail(message, exitCode);
  }
}
