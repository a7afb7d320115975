/** Signature Version 4. Credentials and the clock come from outside. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { UpstreamCall } from '../adapter.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** SHA-256 of OpenSSL: prompts with images are megabytes, which a hash in JavaScript would stop the process for. */
class Sha256 {
  readonly #key: string | Buffer | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#key = typeof secret === 'string' || secret === undefined ? secret : toBuffer(secret);
    this.#hash = this.#fresh();
  }

  update(bytes: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof bytes === 'string' ? bytes : toBuffer(bytes));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#fresh();
  }

  #fresh(): Hash | Hmac {
    return this.#key === undefined ? createHash('sha256') : createHmac('sha256', this.#key);
  }
}

const toBuffer = (bytes: ArrayBuffer | ArrayBufferView): Buffer =>
  ArrayBuffer.isView(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.from(bytes);

/** The same call with the headers that prove who sends it; valid for minutes, so an attempt is signed when it is sent. */
export async function sign(
  call: UpstreamCall,
  credentials: AwsCredentials,
  region: string,
  now: Date,
  service: 'bedrock' | 'sts' = 'bedrock',
): Promise<UpstreamCall> {
  const origin = new URL(call.origin);
  const signer = new SignatureV4({ credentials, region, service, sha256: Sha256, applyChecksum: true });
  const { headers } = await signer.sign(
    {
      method: 'POST',
      protocol: origin.protocol,
      hostname: origin.hostname,
      path: call.path,
      query: {},
      headers: { ...call.headers, host: origin.host },
      body: call.body,
    },
    { signingDate: now },
  );
  return { ...call, headers };
}
