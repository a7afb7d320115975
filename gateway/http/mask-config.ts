/** A config's text without its secrets: references to variables stay, what stands behind a secret's name does not. */

const secretLine =
  /((?:^|[\s{,"'-])["']?[\w-]*(?:key|secret|password|token|credential|authorization|url|dsn|cookie)s?["']?\s*:\s*)(["']?)([^\s,}"'#[\]][^,}"'#\n]*)/gi;
const harmless = /_per_token|_tokens|base_model|health_check|key_alias|key_header|key_generation/i;

/** Line by line, since texts that are no valid YAML are shown, too. */
export const masked = (text: string): string =>
  text.replace(secretLine, (whole: string, name: string, quote: string, value: string) =>
    harmless.test(name) ||
    value.startsWith('os.environ/') ||
    /^(true|false|null|\d+(\.\d+)?(e-?\d+)?)$/i.test(value.trim())
      ? whole
      : `${name}${quote}***`,
  );
