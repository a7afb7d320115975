/** A template as CloudFormation takes it: in the call when it is small, from a bucket when it is not. */
import { createHash } from 'node:crypto';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { AwsClients } from './clients.ts';

export type TemplateInput = { readonly TemplateBody: string } | { readonly TemplateURL: string };

export interface TemplatePlace {
  readonly region: string;
  /** Of that region, where whoever runs the book may write below `runs/`: CloudFormation reads with the same rights. */
  readonly bucket: string;
}

const longestBodyBytes = 51_200;
/** What CloudFormation reads from a bucket. */
const longestObjectBytes = 1_000_000;

/** @param text JSON; it is written without its blanks. */
export async function templateInput(
  clients: AwsClients,
  { region, bucket }: TemplatePlace,
  stack: string,
  text: string,
  abortSignal: AbortSignal,
): Promise<TemplateInput> {
  const body = JSON.stringify(JSON.parse(text));
  const bytes = Buffer.byteLength(body);
  if (bytes <= longestBodyBytes) return { TemplateBody: body };
  if (bytes > longestObjectBytes)
    throw new Error(`the template of ${stack} has ${bytes} bytes, at most ${longestObjectBytes} are taken`);
  // Named after what it holds: two runs never read each other's.
  const key = `runs/templates/${stack}-${createHash('sha256').update(body).digest('hex').slice(0, 16)}.json`;
  const object = { Bucket: bucket, Key: key, Body: body, ContentType: 'application/json' };
  await clients.s3(region).send(new PutObjectCommand(object), { abortSignal });
  return { TemplateURL: `https://${bucket}.s3.${region}.amazonaws.com/${key}` };
}
