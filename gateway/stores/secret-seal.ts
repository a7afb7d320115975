/** Seals secrets that lie in the database, with a key of its own that the installation's salt key gives. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const nonceBytes = 12;
const tagBytes = 16;
/** Derivation and seal both say what for: what the same salt key seals elsewhere can never be passed off as this. */
const purpose = 'holdfast model parameters';

export function secretSeal(saltKey: string) {
  const secret = Buffer.from(hkdfSync('sha256', saltKey, '', purpose, 32));
  return {
    seal: (text: string): string => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(purpose));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url');
    },
    /** @throws when it was not sealed with this salt key, or was changed since. */
    open: (sealed: string): string => {
      const bytes = Buffer.from(sealed, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, nonceBytes)).setAAD(
        Buffer.from(purpose),
      );
      decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString();
    },
  };
}
