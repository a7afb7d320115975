/** What regions say to each other is signed with a secret that all of them have. */
import { createHmac, hash, hkdfSync, timingSafeEqual } from 'node:crypto';

/** Longest difference of two regions' clocks, and so the time in which a message can be repeated: each may be, harmlessly. */
const longestSkewMs = 300_000;

export const signatureHeaders = {
  from: 'x-holdfast-region',
  at: 'x-holdfast-time',
  signature: 'x-holdfast-signature',
} as const;

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export class LinkSignature {
  readonly #key: Uint8Array;

  constructor(secret: string) {
    // The purpose is part of the derivation: the same secret used elsewhere gives another key.
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', 'holdfast region link', 32));
  }

  /** Headers of a question. */
  sign(from: string, path: string, body: Buffer | string, nowMs: number): Record<string, string> {
    const at = String(Math.round(nowMs));
    return {
      [signatureHeaders.from]: from,
      [signatureHeaders.at]: at,
      [signatureHeaders.signature]: this.#digest(['question', from, at, path, hash('sha256', body)]),
    };
  }

  /** @returns the region that asks; undefined when that cannot be believed. */
  verify(headers: Headers, path: string, body: Buffer | string, nowMs: number): string | undefined {
    const { from, at, signature } = textOf(headers);
    if (from === '' || Math.abs(nowMs - Number(at)) > longestSkewMs || !Number.isFinite(Number(at))) return undefined;
    const expected = this.#digest(['question', from, at, path, hash('sha256', body)]);
    return isEqual(expected, signature) ? from : undefined;
  }

  /** Header of the answer to one question, and to no other. */
  answer(question: Headers, status: number, body: Buffer | string): Record<string, string> {
    const { signature } = textOf(question);
    return { [signatureHeaders.signature]: this.#digest(['answer', signature, String(status), hash('sha256', body)]) };
  }

  verifyAnswer(question: Headers, status: number, body: Buffer | string, signature: string | null): boolean {
    const expected = this.answer(question, status, body)[signatureHeaders.signature] ?? '';
    return signature !== null && isEqual(expected, signature);
  }

  #digest(parts: readonly string[]): string {
    return createHmac('sha256', this.#key).update(parts.join('\n')).digest('hex');
  }
}

const textOf = (headers: Headers): { from: string; at: string; signature: string } => {
  const one = (name: string): string => {
    const value = headers[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    from: one(signatureHeaders.from),
    at: one(signatureHeaders.at),
    signature: one(signatureHeaders.signature),
  };
};

function isEqual(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
