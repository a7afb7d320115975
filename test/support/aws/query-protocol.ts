/** The wire format of CloudFormation and RDS: a form goes in, XML comes out, and the signature names region and service. */

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
