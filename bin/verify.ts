/** `holdfast verify URL`: does this gateway serve, and does the money arrive? */
import { readFile } from 'node:fs/promises';
import { styleText } from 'node:util';
import { type Finding, faultsOf } from '../runbooks/books/finding.ts';
import { verify } from '../runbooks/verify/verify.ts';
import { fail, say } from './say.ts';

export interface VerifyCommandOptions {
  readonly keyFile?: string;
  readonly model?: string;
  readonly embeddingModel?: string;
  readonly write?: true;
  readonly timeout: number;
  readonly spendPatience: number;
  readonly json?: true;
}

/** @returns the exit code: 0 all is well, 1 a check failed, 2 the command line is wrong. */
export async function verifyGateway(url: string, options: VerifyCommandOptions): Promise<number> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return fail(`${url} is not an address; write for example https://gateway.example.com`, 2);
  }
  const key = await verifyKey(options.keyFile);
  if (key === undefined) return fail('No key to ask with: set HOLDFAST_KEY, or name a file with --key-file', 2);
  const findings = await verify({
    url,
    key,
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(options.embeddingModel === undefined ? {} : { embeddingModel: options.embeddingModel }),
    write: options.write === true,
    timeoutSeconds: options.timeout,
    spendPatienceSeconds: options.spendPatience,
    signal: new AbortController().signal,
    onFinding: options.json === true ? () => undefined : sayFinding,
  });
  const faults = faultsOf(findings);
  if (options.json === true) say(JSON.stringify({ url, ok: faults === undefined, findings }));
  return faults === undefined ? 0 : 1;
}

/** Never on the command line, where every user of the machine could read it. */
export async function verifyKey(file: string | undefined): Promise<string | undefined> {
  if (file !== undefined) return (await readFile(file, 'utf8')).trim();
  return process.env['HOLDFAST_KEY'] ?? process.env['LITELLM_MASTER_KEY'];
}

const marks = { ok: ['green', 'ok'], failed: ['red', 'FAILED'], skipped: ['yellow', 'skipped'] } as const;

function sayFinding({ check, is, note, seconds }: Finding): void {
  const [colour, word] = marks[is];
  say(
    `  ${styleText(colour, word.padEnd(8), { stream: process.stdout })}${check.padEnd(12)}${note} (${seconds.toFixed(1)} s)`,
  );
}
