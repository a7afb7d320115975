/** Asks a running gateway something on an administrator's behalf. */
import { z } from 'zod';
import { verifyKey } from './verify.ts';

export interface Gateway {
  /** Without a path. */
  readonly url: string;
  /** File with an administrator's key; undefined = a variable has it. */
  readonly keyFile?: string | undefined;
}

/** The gateway cannot be asked, or says no; the message is for the person at the command line. */
export class AskFailed extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AskFailed';
  }
}

const timeoutMs = 20_000;
const failure = z.object({ error: z.object({ message: z.string() }) });

/** POST with a body, GET without. @throws AskFailed */
export async function ask(gateway: Gateway, path: string, body?: string): Promise<unknown> {
  if (!URL.canParse(gateway.url)) {
    throw new AskFailed(`${gateway.url} is not an address; write for example https://gateway.example.com`);
  }
  const key = await verifyKey(gateway.keyFile);
  if (key === undefined) {
    throw new AskFailed('No key to ask with: set HOLDFAST_KEY or LITELLM_MASTER_KEY, or name a file with --key-file');
  }
  const url = new URL(path, gateway.url);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body }),
    });
    text = await response.text();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new AskFailed(`${url.origin} cannot be reached (${cause}). Name the gateway with --url`);
  }
  const answer = parsed(text);
  if (response.ok) return answer ?? text;
  throw new AskFailed(failure.safeParse(answer).data?.error.message ?? `${url.origin} answered ${response.status}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
