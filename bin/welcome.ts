/** What `npm start` says, once: what runs where, how to sign in, and a line to paste. */
import type { ConfigFault } from '../gateway/config/document.ts';
import { say } from './say.ts';

export interface Welcome {
  readonly url: string;
  readonly pids: readonly number[];
  readonly config: string;
  readonly models: readonly string[];
  readonly database: string;
  readonly databaseReached: boolean;
  readonly redis: string | undefined;
  readonly upstreams: readonly { readonly name: string; readonly url: string; readonly pid: number }[];
  readonly log: string;
  /** Only at the moment it was made. */
  readonly adminKey: string | undefined;
  readonly masterKeyIsSet: boolean;
  readonly warnings: readonly ConfigFault[];
}

export function welcome(facts: Welcome): void {
  const row = (label: string, value: string): void => say(`  ${label.padEnd(12)}${value}`);
  say(`\nHoldfast serves at ${facts.url}\n`);
  row('gateway', `${facts.pids.length === 1 ? 'process' : `${facts.pids.length} processes`} ${facts.pids.join(', ')}`);
  row('config', facts.config);
  row('models', facts.models.join(', '));
  row(
    'PostgreSQL',
    facts.databaseReached ? facts.database : `${facts.database}: cannot be reached, serving from the snapshot`,
  );
  row('Redis', facts.redis ?? 'none (optional: REDIS_URL)');
  for (const upstream of facts.upstreams) row('upstream', `${upstream.name}, ${upstream.url}, process ${upstream.pid}`);
  row('log', facts.log);
  for (const { line, path, message } of facts.warnings)
    say(`  note: ${facts.config}${line === undefined ? '' : `:${line}`} ${path}: ${message}`);
  say();
  if (facts.adminKey !== undefined) say(`Administrator key, shown this once: ${facts.adminKey}\n`);
  else if (facts.masterKeyIsSet) say('Sign in with your master key.\n');
  else say('Sign in with the administrator key of the first start (lost it? npm start -- --new-admin-key).\n');
  say('Try it:\n');
  say(`  curl ${facts.url}/v1/chat/completions \\`);
  say(`    -H 'Authorization: Bearer ${facts.adminKey ?? '$KEY'}' -H 'Content-Type: application/json' \\`);
  say(`    -d '{"model": "${facts.models[0] ?? 'gpt-4o'}", "messages": [{"role": "user", "content": "Hello!"}]}'\n`);
  const [victim] = facts.upstreams;
  if (victim !== undefined) {
    say('No provider key is set, so the demo upstreams answer. See the gateway survive one of them:');
    say(`  kill -9 ${victim.pid}    and send the request again.`);
    say('With OPENAI_API_KEY=... in .env the same config reaches the real provider.\n');
  }
  say('Ctrl-C ends it; running requests are finished first.');
}
