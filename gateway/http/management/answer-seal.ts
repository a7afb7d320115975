/** Seals an answer that is kept for a client that repeats itself, so that nobody but that client can read it. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const nonceBytes = 12;
const tagBytes = 16;

/** @param clientKey the client's own key: the database knows only its hash. */
export function answerSeal(clientKey: string, idempotencyKey: string) {
  // The purpose is part of the derivation: the same secret used elsewhere gives another key.
  const secret = Buffer.from(hkdfSync('sha256', clientKey, idempotencyKey, 'holdfast idempotent answer', 32));
  return {
    seal: (answer: string): Buffer => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce);
      const text = Buffer.concat([cipher.update(answer, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    open: (sealed: Buffer): string => {
      const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, nonceBytes));
      decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]).toString();
    },
  };
}
