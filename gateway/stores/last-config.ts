/**
 * The configuration that was live last, on disk, so that a gateway starts while its source is away. Sealed: it may hold
 * secrets, and an edited file would be a way to send requests elsewhere.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { ownKey, readIfThere, replaceFile } from './own-key.ts';

const record = z.record(z.string(), z.unknown());
const contentSchema = z.object({
  savedAtMs: z.number(),
  /** Whose it is: a folder may be used by several gateways in turn. */
  source: z.string(),
  text: z.string(),
  additions: z.string(),
  models: z.array(z.object({ modelId: z.string(), modelName: z.string(), params: record, info: record })),
});

export type LastConfig = Readonly<z.output<typeof contentSchema>>;

const fileName = 'last-config.sealed';
const nonceBytes = 12;
const tagBytes = 16;
const purpose = 'holdfast last config';

export class LastConfigFile {
  readonly #directory: string;
  readonly #saltKey: string | undefined;

  /** @param saltKey seals the file; without one a random key is kept beside it, readable by this user alone. */
  constructor(directory: string, saltKey: string | undefined) {
    this.#directory = directory;
    this.#saltKey = saltKey;
  }

  /** @returns undefined when there is none of this source, or when it is not one that this installation wrote. */
  async load(source: string): Promise<LastConfig | undefined> {
    const sealed = await readIfThere(join(this.#directory, fileName));
    if (sealed === undefined) return undefined;
    const text = open(Buffer.from(sealed, 'base64'), await this.#key());
    if (text === undefined) return undefined;
    const content = contentSchema.safeParse(JSON.parse(text));
    return content.success && content.data.source === source ? content.data : undefined;
  }

  async save(content: LastConfig): Promise<void> {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', await this.#key(), nonce);
    const body = Buffer.concat([cipher.update(JSON.stringify(content), 'utf8'), cipher.final()]);
    const sealed = Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    await replaceFile(this.#directory, fileName, sealed);
  }

  async #key(): Promise<Uint8Array> {
    const secret = this.#saltKey ?? (await ownKey(this.#directory, 'last-config.key'));
    return new Uint8Array(hkdfSync('sha256', secret, '', purpose, 32));
  }
}

function open(sealed: Buffer, key: Uint8Array): string | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
  try {
    const body = sealed.subarray(nonceBytes + tagBytes);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString();
  } catch (error) {
    // Node says only that it could not authenticate.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
