/** A certificate for servers on loopback that signs itself: trusted by whoever is given it, and by nobody else. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface Certificate {
  /** Also what a client names as its authority. */
  readonly certificate: string;
  readonly privateKey: string;
}

/** X.509 is written here by hand, because neither Node nor every machine has a tool for it. Valid for a day. */
export function selfSignedCertificate(commonName = 'holdfast lab'): Certificate {
  const { privateKey: privatePem } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const key = createPrivateKey(privatePem);
  const body = toBeSigned(commonName, createPublicKey(key));
  const signature = sign('sha256', body, key);
  const certificate = sequence(body, ecdsaWithSha256, bitString(signature));
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    privateKey: privatePem,
  };
}

function toBeSigned(commonName: string, publicKey: KeyObject): Buffer {
  const name = sequence(set(sequence(oid('550403'), element(0x0c, Buffer.from(commonName)))));
  // A minute back, since the reader's clock may be behind.
  const validity = sequence(time(Date.now() - 60_000), time(Date.now() + 86_400_000));
  const alternativeNames = sequence(
    element(0x87, Buffer.from([127, 0, 0, 1])),
    element(0x82, Buffer.from('localhost')),
  );
  const extensions = sequence(
    sequence(oid('551d11'), element(0x04, alternativeNames)),
    // Critical: this is an authority, its own.
    sequence(
      oid('551d13'),
      element(0x01, Buffer.from([0xff])),
      element(0x04, sequence(element(0x01, Buffer.from([0xff])))),
    ),
  );
  // A leading byte below 0x80 keeps the number positive, one above 0 keeps it in its shortest form.
  const serial = Buffer.concat([Buffer.from([0x42]), randomBytes(8)]);
  return sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, serial),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, extensions),
  );
}

/** DER: tag, length, content. */
function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => element(0x30, Buffer.concat(parts));
const set = (...parts: readonly Buffer[]): Buffer => element(0x31, Buffer.concat(parts));
const oid = (hex: string): Buffer => element(0x06, Buffer.from(hex, 'hex'));
const bitString = (bytes: Buffer): Buffer => element(0x03, Buffer.concat([Buffer.from([0]), bytes]));
/** UTCTime. */
const time = (ms: number): Buffer =>
  element(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
