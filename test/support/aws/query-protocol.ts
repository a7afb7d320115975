/** The wire format of CloudFormation and RDS: a form goes in, XML comes out, and the signature names region and service. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface Call {
  readonly action: string;
  readonly fields: URLSearchParams;
  readonly region: string;
  readonly service: string;
  readonly body: string;
}

/** A refusal as AWS words it. */
export class AwsRefusal extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'AwsRefusal';
    this.code = code;
  }
}

export async function readCall(request: IncomingMessage): Promise<Call> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece));
  const body = Buffer.concat(pieces).toString();
  const fields = new URLSearchParams(body);
  const scope = /Credential=[^/]+\/\d+\/([\w-]+)\/([\w-]+)\//.exec(request.headers.authorization ?? '');
  const [, region = 'us-east-1', service = ''] = scope ?? [];
  return { action: fields.get('Action') ?? '', fields, region, service, body };
}

/** The header that makes moto answer for a region; it checks no signature. */
export const scopeHeader = (region: string, service: string): string =>
  `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=none`;

/** `Parameters.member.1.ParameterKey=...` as a list of objects. */
export function membersOf(fields: URLSearchParams, list: string): Record<string, string>[] {
  const members: Record<string, string>[] = [];
  for (const [name, value] of fields) {
    const match = new RegExp(`^${list}\\.member\\.(\\d+)\\.(\\w+)$`).exec(name);
    if (match === null) continue;
    const [, place = '1', key = ''] = match;
    (members[Number(place) - 1] ??= {})[key] = value;
  }
  return members.filter((member) => member !== undefined);
}

export type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [name: string]: Xml };

/** Lists become `<member>`s. */
export function xmlOf(value: Xml): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map((item) => `<member>${xmlOf(item)}</member>`).join('');
  if (typeof value === 'object') {
    return Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([name, item]) => `<${name}>${xmlOf(item)}</${name}>`)
      .join('');
  }
  return String(value).replace(/[&<>]/g, (sign) => (sign === '&' ? '&amp;' : sign === '<' ? '&lt;' : '&gt;'));
}

export function answerXml(response: ServerResponse, action: string, result: Xml): void {
  send(response, 200, `<${action}Response><${action}Result>${xmlOf(result)}</${action}Result></${action}Response>`);
}

export function answerRefusal(response: ServerResponse, refusal: AwsRefusal): void {
  const error = xmlOf({ Error: { Type: 'Sender', Code: refusal.code, Message: refusal.message } });
  send(response, 400, `<ErrorResponse>${error}<RequestId>test</RequestId></ErrorResponse>`);
}

export function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
