/** The architecture as a picture, drawn from the templates: what is not in them is not in it. */
import { dnsStackName } from '../platform/names.ts';
import type { Review } from './review.ts';
import { propertiesOf } from './template.ts';

export interface Drawing {
  readonly regions: readonly RegionBox[];
  /** From one region to another, by what flows. */
  readonly arrows: readonly { readonly from: string; readonly to: string; readonly what: string }[];
  /** Regions that a name leads to. */
  readonly names: readonly { readonly name: string; readonly to: string; readonly how: string }[];
}

interface RegionBox {
  readonly region: string;
  readonly parts: readonly string[];
}

export function drawingOf({ platform, stacks }: Review): Drawing {
  const dns = stacks.filter(({ name }) => name === dnsStackName(platform));
  const regions = [
    ...new Set(stacks.filter(({ name }) => name !== dnsStackName(platform)).map(({ region }) => region)),
  ];
  const boxes = regions.map((region): RegionBox => {
    const own = stacks.filter((stack) => stack.region === region && stack.name !== dnsStackName(platform));
    const count = (type: string): number => propertiesOf(own, type).length;
    const databases = propertiesOf(own, 'AWS::RDS::DBInstance');
    const parts: readonly (readonly [number, string])[] = [
      [count('AWS::ElasticLoadBalancingV2::LoadBalancer'), 'load balancer, firewall'],
      [count('AWS::EKS::Cluster'), `gateways (EKS), ${count('AWS::EC2::NatGateway')} zones`],
      [databases.filter(({ SourceRegion }) => SourceRegion === undefined).length, 'PostgreSQL'],
      [databases.filter(({ SourceRegion }) => SourceRegion !== undefined).length, 'PostgreSQL replica'],
      [
        platform.regions.filter((each) => each.region === region && each.database !== undefined).length,
        'PostgreSQL (yours)',
      ],
      [count('AWS::ElastiCache::ReplicationGroup'), 'Valkey'],
      [count('AWS::S3::Bucket'), 'buckets'],
      [count('AWS::Backup::BackupVault'), 'backup vault'],
      [count('AWS::CloudWatch::Alarm'), 'alarms'],
    ];
    return {
      region,
      parts: parts
        .filter(([number]) => number > 0)
        .map(([number, what]) => (number === 1 ? what : `${number} ${what}`)),
    };
  });
  const arrows = stacks.flatMap((stack) => {
    const databases = propertiesOf([stack], 'AWS::RDS::DBInstance').flatMap(({ SourceRegion }) =>
      typeof SourceRegion === 'string' ? [{ from: SourceRegion, to: stack.region, what: 'database' }] : [],
    );
    const text = JSON.stringify(propertiesOf([stack], 'AWS::S3::Bucket'));
    const objects = regions
      .filter((region) => region !== stack.region && text.includes(`"Id":"to-${region}"`))
      .map((region) => ({ from: stack.region, to: region, what: 'objects' }));
    return [...databases, ...objects];
  });
  const names = propertiesOf(dns, 'AWS::Route53::RecordSet').flatMap((record) => {
    const target = String(Object(record['AliasTarget'])['DNSName']);
    const region = regions.find((each) => target.startsWith(`${each}.`));
    const how = [record['Failover'], record['Region']].find((each): each is string => typeof each === 'string');
    const otherwise = record['Weight'] === undefined ? 'alone' : 'weight';
    return region === undefined
      ? []
      : [{ name: String(record['Name']).replace(/\.$/, ''), to: region, how: how ?? otherwise }];
  });
  return { regions: boxes, arrows, names };
}

const idOf = (text: string): string => text.replaceAll(/\W/g, '_');

/** For Markdown that draws. */
export function mermaidOf({ regions, arrows, names }: Drawing): string {
  return [
    'flowchart LR',
    ...[...new Set(names.map(({ name }) => name))].map((name) => `  ${idOf(name)}{{"${name}"}}`),
    ...regions.map(({ region, parts }) => `  ${idOf(region)}["<b>${region}</b><br>${parts.join('<br>')}"]`),
    ...names.map(({ name, to, how }) => `  ${idOf(name)} -->|${how}| ${idOf(to)}`),
    ...arrows.map(({ from, to, what }) => `  ${idOf(from)} -.->|${what}| ${idOf(to)}`),
  ].join('\n');
}

const box = { width: 240, gap: 60, top: 110, line: 20, head: 34 } as const;

/** For a browser, with nothing from elsewhere. */
export function svgOf({ regions, arrows, names }: Drawing): string {
  const tallest = Math.max(0, ...regions.map(({ parts }) => parts.length));
  const height = box.head + tallest * box.line + 16;
  const leftOf = (region: string): number =>
    20 +
    Math.max(
      0,
      regions.findIndex((each) => each.region === region),
    ) *
      (box.width + box.gap);
  const middleOf = (region: string): number => leftOf(region) + box.width / 2;
  const width = 20 + regions.length * (box.width + box.gap);
  const below = box.top + height;
  const boxes = regions.map(({ region, parts }) => {
    const left = leftOf(region);
    const rows = parts.map((part, index) => text(left + 14, box.top + box.head + 16 + index * box.line, part));
    return `<rect x="${left}" y="${box.top}" width="${box.width}" height="${height}" rx="8" fill="#eef3fb" stroke="#4a6fa5"/>${text(left + 14, box.top + 24, region, 'bold')}${rows.join('')}`;
  });
  const entries = regions.flatMap(({ region }) => {
    const own = names.filter(({ to }) => to === region);
    if (own.length === 0) return [];
    const lines = [...new Set(own.map(({ name, how }) => `${name} (${how})`))].slice(0, 4);
    const x = middleOf(region);
    return [
      ...lines.map((line, index) => text(x - box.width / 2, 24 + index * 16, line, 'normal', 11)),
      `<line x1="${x}" y1="${30 + lines.length * 16}" x2="${x}" y2="${box.top - 2}" stroke="#333" marker-end="url(#tip)"/>`,
    ];
  });
  const curves = arrows.map(({ from, to, what }, index) => {
    const [start, end, depth] = [middleOf(from), middleOf(to), below + 30 + index * 22];
    return `<path d="M${start} ${below} C ${start} ${depth + 20}, ${end} ${depth + 20}, ${end} ${below + 2}" fill="none" stroke="${what === 'database' ? '#a5524a' : '#7a8'}" stroke-dasharray="5 4" marker-end="url(#tip)"/>${text((start + end) / 2 - 24, depth + 8, what, 'normal', 11)}`;
  });
  const total = below + 70 + arrows.length * 22;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" role="img" aria-label="Regions and what flows between them"><defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker></defs>${[...boxes, ...entries, ...curves].join('')}</svg>`;
}

const text = (x: number, y: number, content: string, weight = 'normal', size = 13): string =>
  `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" font-weight="${weight}">${content.replace(/[&<>]/g, '')}</text>`;
