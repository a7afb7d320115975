/**
 * A Security Token Service on loopback: it takes the forms of the query protocol, checks signatures by its own arithmetic
 * and answers with AWS's XML. Written from https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html,
 * .../API_AssumeRoleWithWebIdentity.html, .../CommonErrors.html and
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { serveHttp } from '../providers/upstream-server.ts';

export interface StsState {
  /** Wall clock of the service, milliseconds. */
  ms: number;
  /** Secrets by access key. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Answers instead of a session: a refusal, or anything. Undefined = never answers. */
  reply: 'session' | 'silence' | { readonly status: number; readonly body: string };
}

export interface StsQuestion {
  readonly form: Readonly<Record<string, string>>;
  /** Access key of a right signature; undefined when nothing was signed. */
  readonly signedBy: string | undefined;
}

export const refusal = (code: string, message: string) => ({
  status: code === 'AccessDenied' ? 403 : 400,
  body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>${code}</Code>
    <Message>${message}</Message>
  </Error>
  <RequestId>1d8b2f7c-0000-0000-0000-000000000000</RequestId>
</ErrorResponse>`,
});

/** Ends with the test. Sessions are numbered and last as long as the form says. */
export async function stsServer(state: StsState): Promise<{ origin: string; questions: StsQuestion[] }> {
  const questions: StsQuestion[] = [];
  const server = await serveHttp((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces).toString();
      const form = Object.fromEntries(new URLSearchParams(body));
      const signedBy = signerOf(request, body, state.secrets);
      questions.push({ form, signedBy });
      if (state.reply === 'silence') return;
      const wrong = form['Action'] === 'AssumeRole' && signedBy === undefined;
      const reply =
        state.reply !== 'session'
          ? state.reply
          : wrong
            ? refusal('SignatureDoesNotMatch', 'The request signature we calculated does not match.')
            : { status: 200, body: session(form, questions.length, state.ms) };
      response.writeHead(reply.status, { 'content-type': 'text/xml' }).end(reply.body);
    });
  });
  return { origin: server.origin, questions };
}

function session(form: Readonly<Record<string, string>>, number: number, nowMs: number): string {
  const action = form['Action'] ?? '';
  const expiration = new Date(nowMs + Number(form['DurationSeconds']) * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  return `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <${action}Result>
    <AssumedRoleUser>
      <AssumedRoleId>AROA123EXAMPLE123EXAMPLE:${form['RoleSessionName']}</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/demo/${form['RoleSessionName']}</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIA${number}</AccessKeyId>
      <SecretAccessKey>secret/${number}&amp;more</SecretAccessKey>
      <SessionToken>token/${number}+x==</SessionToken>
      <Expiration>${expiration}</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </${action}Result>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</${action}Response>`;
}

/** Of the service: a signature for another region or service is none here. */
const stsRegion = 'eu-central-1';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

function signerOf(request: IncomingMessage, body: string, secrets: ReadonlyMap<string, string>): string | undefined {
  const stated =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    ) ?? [];
  const [, accessKey = '', scope = '', signed = '', signature] = stated;
  const secret = secrets.get(accessKey);
  if (secret === undefined || !scope.endsWith(`/${stsRegion}/sts/aws4_request`)) return undefined;
  const headers = signed.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
  const canonical = ['POST', request.url, '', headers.join(''), signed, sha256(body)].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>((parent, part) => hmac(parent, part), `AWS4${secret}`);
  return hmac(key, toSign).toString('hex') === signature ? accessKey : undefined;
}
