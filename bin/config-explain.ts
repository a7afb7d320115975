/** `holdfast config explain`: where each setting comes from, with secrets masked. */
import { explainSettings } from '../gateway/explain-settings.ts';
import { readSettings } from '../gateway/settings.ts';
import { describeStartError } from '../gateway/start-error.ts';
import { fail, say } from './say.ts';

/** @param file goes before everything that names one. */
export async function explainConfigFile(file: string | undefined): Promise<number> {
  try {
    const settings = readSettings();
    const rows = await explainSettings(
      file === undefined
        ? settings
        : { ...settings, configPath: file, configIsNamed: true, configSource: { is: 'file' } },
    );
    const widths = [
      Math.max(...rows.map(({ setting }) => setting.length)),
      Math.max(...rows.map(({ value }) => value.length)),
    ];
    for (const { setting, value, from } of rows) {
      say(`${setting.padEnd(widths[0] ?? 0)}  ${value.padEnd(widths[1] ?? 0)}  ${from}`);
    }
    return 0;
  } catch (error) {
    const { message, exitCode } = describeStartError(error);
    return fail(message, exitCode);
  }
}
