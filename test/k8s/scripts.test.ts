/** The few lines of shell in the manifests, run as they are with programs of our own in the place of the real ones. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { canRun } from '../../runbooks/lab/run-command.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { at, find, listAt, type Manifest, objectsOf, podTemplate } from './manifests.ts';
import { ofTier, variants } from './platforms.ts';

const directory = await temporaryDirectory();
const everything = { addons: ['vault', 'backup', 'redis', 'postgres'] } as const;
const onEks = objectsOf(ofTier('high', { addons: ['vault', 'backup'] }), 'us-east-1');
const elsewhere = objectsOf(ofTier('high', { kind: 'generic', ...everything }), 'us-east-1');

function container(objects: readonly Manifest[], job: string, name: string): unknown {
  const pod = at(find(objects, 'CronJob', job), 'spec.jobTemplate.spec.template.spec');
  const found = [...listAt(pod, 'initContainers'), ...listAt(pod, 'containers')].find(
    (one) => at(one, 'name') === name,
  );
  if (found === undefined) throw new Error(`${job} has no ${name}`);
  return found;
}

const scriptOf = (objects: readonly Manifest[], job: string, name: string): string =>
  z.string().parse(at(container(objects, job, name), 'args.0'));

interface Run {
  readonly output: string;
  readonly status: number;
}

/** Runs a script with stubs before the PATH, its absolute folders moved under `root`. */
function run(script: string, root: string, stubs: Readonly<Record<string, string>>, variables = {}): Run {
  const bin = join(root, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const [name, text] of Object.entries(stubs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const moved = script
    .replaceAll(/(?<=[\s"'=>])\/(dump|pack|snapshot|var)\b/g, `${root}/$1`)
    .replace('=/ ', `=${root} `);
  const env = { PATH: `${bin}:${process.env['PATH']}`, ...variables };
  try {
    return {
      output: execFileSync('/bin/sh', ['-euc', moved], { encoding: 'utf8', timeout: 20_000, env, stdio: 'pipe' }),
      status: 0,
    };
  } catch (error) {
    const { stdout, status } = z.object({ stdout: z.string(), status: z.number() }).parse(error);
    return { output: stdout, status };
  }
}

function folder(name: string, ...inside: readonly string[]): string {
  const root = join(directory, name);
  for (const one of inside) mkdirSync(join(root, one), { recursive: true });
  return root;
}

describe('every script in every manifest', () => {
  const scripts = variants
    .flatMap(({ platform }) => objectsOf(platform, platform.primary.region))
    .flatMap((object) =>
      ['initContainers', 'containers'].flatMap((kind) => listAt(podTemplate(object), `spec.${kind}`)),
    )
    .filter((one) => String(at(one, 'command.0')) === '/bin/sh' && String(at(one, 'command.1')).includes('c'))
    .map((one) => String(at(one, 'args.0')));
  const files = elsewhere
    .filter(({ kind }) => kind === 'ConfigMap')
    .map((map) => Object(at(map, 'data'))['start.sh'])
    .filter((text) => text !== undefined);

  it('can be read by a shell', () => {
    expect(scripts.length).toBeGreaterThan(5);
    expect(files).toHaveLength(2);
    for (const text of new Set([...scripts, ...files])) {
      execFileSync('/bin/sh', ['-n', '-c', text], { stdio: 'pipe', timeout: 5_000 });
    }
  });
});

describe('the snapshot of Vault', () => {
  const script = scriptOf(onEks, 'vault-snapshot', 'take');
  const status = (leader: string): string => `{
  "type": "awskms",
  "sealed": false,
  "ha_enabled": true,
  "is_self": false,
  ${leader}
  "leader_cluster_address": "https://vault-2.vault:8201",
  "raft_committed_index": 42
}`;
  const vault = (answer: string): string => `case "$1 $2" in
  'status -format=json') echo '${answer}' ;;
  'write '*) echo token-of-$VAULT_ADDR ;;
  'operator raft') echo "$4 $VAULT_ADDR $VAULT_TOKEN" ;;
esac`;

  it('is asked of the leader, since a standby does not pass it on', () => {
    const root = folder('leader', 'snapshot');
    const stub = vault(status('"leader_address": "https://vault-2.vault:8200",'));
    const { output } = run(script, root, { vault: stub }, { VAULT_ADDR: 'https://vault:8200' });
    expect(output.trim().split('\n')).toEqual([
      'save https://vault-2.vault:8200 token-of-https://vault-2.vault:8200',
      'inspect https://vault-2.vault:8200 token-of-https://vault-2.vault:8200',
    ]);
  });

  it('fails, and is alerted, while there is no leader', () => {
    const stub = vault(status('"leader_address": "",'));
    const made = run(script, folder('leaderless', 'snapshot'), { vault: stub }, { VAULT_ADDR: 'https://vault:8200' });
    expect(made.status).not.toBe(0);
    expect(made.output).toBe('');
  });

  it('finds the leader under a name that its certificate has', () => {
    const pod = at(find(onEks, 'StatefulSet', 'vault'), 'spec.template.spec');
    const variables = listAt(pod, 'containers.0.env');
    const own = variables.find((variable) => at(variable, 'name') === 'VAULT_API_ADDR');
    expect(at(own, 'value')).toBe('https://$(VAULT_RAFT_NODE_ID).vault:8200');
  });
});

describe('the dump of the database', () => {
  const script = scriptOf(onEks, 'database-backup', 'dump');
  const dump = 'for one; do case $one in --file=*) echo x >"${one#--file=}" ;; esac; done; echo "$one"';

  it('goes past the pooler where there is one, and is read back', () => {
    const stubs = { pg_dump: dump, pg_restore: 'echo "1; 0 0 TABLE DATA public spend holdfast"' };
    const both = { DATABASE_URL: 'pooler', DIRECT_DATABASE_URL: 'server' };
    expect(run(script, folder('direct', 'dump'), stubs, both)).toEqual({ output: 'server\n', status: 0 });
    expect(run(script, folder('pooled', 'dump'), stubs, { DATABASE_URL: 'pooler' }).output).toBe('pooler\n');
  });

  it.each([
    ['the server ends it', { pg_dump: 'exit 1', pg_restore: 'echo TABLE DATA' }],
    ['it cannot be read', { pg_dump: dump, pg_restore: 'echo TABLE DATA; exit 1' }],
    ['it holds no rows', { pg_dump: dump, pg_restore: 'echo TABLE' }],
  ])('is no backup when %s', (why, stubs) => {
    const root = folder(`bad-${why.replaceAll(' ', '-')}`, 'dump');
    expect(run(script, root, stubs, { DATABASE_URL: 'x' }).status).not.toBe(0);
  });
});

describe('what is uploaded', () => {
  const jobs: readonly (readonly [job: string, copies: number, everyHours: number])[] = [
    ['database-backup', 31, 24],
    ['configuration-backup', 31, 24],
    ['vault-snapshot', 7 * 24, 1],
    ['redis-backup', 24, 1],
  ];

  it.each(jobs)('by %s replaces the oldest of %i copies, and nothing is ever deleted', (job, copies, everyHours) => {
    const script = scriptOf(elsewhere, job, 'upload');
    expect(script).not.toMatch(/\brm\b|delete|find /);
    const format = /"(s3:\/\/.*)"$/.exec(script)?.[1] ?? '';
    const names = new Set<string>();
    for (let hour = 0; hour < 24 * 62; hour += everyHours) {
      // What the shell makes of `$(date -u +d)`, in two months that have 31 days.
      const now = new Date(Date.UTC(2026, 6, 1, hour));
      const words: Record<string, number> = { d: now.getUTCDate(), u: now.getUTCDay() || 7, H: now.getUTCHours() };
      names.add(format.replaceAll(/\$\(date -u \+%(\w)\)/g, (_all, word: string) => String(words[word])));
    }
    expect(names.size).toBe(copies);
  });

  it('is never an empty file', () => {
    const root = folder('empty', 'dump');
    writeFileSync(join(root, 'dump/holdfast.dump'), '');
    const script = scriptOf(onEks, 'database-backup', 'upload');
    const aws = 'echo called';
    expect(run(script, root, { aws })).toEqual({ output: '', status: 1 });
    writeFileSync(join(root, 'dump/holdfast.dump'), 'PGDMP');
    expect(run(script, root, { aws })).toEqual({ output: 'called\n', status: 0 });
  });

  it('is encrypted by the key of the bucket, which no option overrules', () => {
    const objects = objectsOf(ofTier('high', everything), 'us-east-1');
    for (const [job] of jobs) expect(scriptOf(objects, job, 'upload'), job).not.toContain('--sse');
  });

  it('goes to a named store with the keys of a Secret outside of EKS', () => {
    const own = { kind: 'generic', ...everything, objectStoreUrl: 'https://minio.storage:9000' } as const;
    const objects = objectsOf(ofTier('high', own), 'us-east-1');
    for (const [job] of jobs) {
      const names = listAt(container(objects, job, 'upload'), 'env').map((variable) => at(variable, 'name'));
      expect(names, job).toEqual(
        expect.arrayContaining(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_ENDPOINT_URL_S3']),
      );
    }
  });
});

const openssl = await canRun({ command: 'openssl', args: ['version'] });

describe('the backup of the configuration', () => {
  /** A ConfigMap or Secret as Kubernetes mounts it. */
  const mount = (root: string, name: string, file: string, text: string): void => {
    mkdirSync(join(root, name, '..2026_11_21'), { recursive: true });
    writeFileSync(join(root, name, '..2026_11_21', file), text);
    symlinkSync('..2026_11_21', join(root, name, '..data'));
    symlinkSync(join('..data', file), join(root, name, file));
  };
  const filled = (name: string): string => {
    const root = folder(name, 'pack');
    mount(root, 'configuration', 'config.yaml', 'model_list: []\n');
    mount(root, 'secrets', 'OPENAI_API_KEY', 'sk-secret');
    return root;
  };

  it('holds the files themselves, and each once', () => {
    const root = filled('packed');
    expect(run(scriptOf(onEks, 'configuration-backup', 'pack'), root, {}).status).toBe(0);
    const archive = join(root, 'pack/configuration.tgz');
    const names = execFileSync('tar', ['tzf', archive], { encoding: 'utf8', timeout: 5_000 }).split('\n');
    expect(names.filter((name) => /[^/]$/.test(name))).toEqual(['configuration/config.yaml', 'secrets/OPENAI_API_KEY']);
    const text = execFileSync('tar', ['xzOf', archive, 'secrets/OPENAI_API_KEY'], { encoding: 'utf8', timeout: 5_000 });
    expect(text).toBe('sk-secret');
  });

  it.skipIf(!openssl)(
    'is sealed where no bucket does it, and opens with the passphrase alone (skipped without OpenSSL)',
    () => {
      const root = filled('sealed');
      const script = scriptOf(elsewhere, 'configuration-backup', 'pack');
      expect(run(script, root, {}, { BACKUP_PASSPHRASE: 'correct horse' }).status).toBe(0);
      const sealed = join(root, 'pack/configuration.tgz.enc');
      const cipher = ['enc', '-d', '-aes-256-cbc', '-pbkdf2', '-iter', '600000', '-in', sealed];
      const open = (pass: string): Buffer =>
        execFileSync('openssl', [...cipher, '-pass', `pass:${pass}`], { stdio: 'pipe', timeout: 20_000 });
      expect(open('correct horse').equals(readFileSync(join(root, 'pack/configuration.tgz')))).toBe(true);
      expect(() => open('another')).toThrow('Command failed');
      expect(scriptOf(elsewhere, 'configuration-backup', 'upload')).toContain('/pack/configuration.tgz.enc "s3://');
    },
  );
});

it('the backup of Redis comes from the first server that answers, the leader of the start last', () => {
  const redis = (answers: string): string =>
    `case "$2" in ${answers}) echo "$2"; for last; do :; done; echo x >"$last" ;; *) exit 1 ;; esac`;
  const asked = (name: string, answers: string): Run =>
    run(
      scriptOf(elsewhere, 'redis-backup', 'dump'),
      folder(name, 'dump'),
      { 'redis-cli': redis(answers), 'redis-check-rdb': 'test -s "$1"' },
      { REDIS_PASSWORD: 'p' },
    );
  expect(asked('all', 'redis-*').output).toBe('redis-2.redis\n');
  expect(asked('one', 'redis-0.redis').output).toBe('redis-0.redis\n');
  expect(asked('none', 'nobody').status).not.toBe(0);
});

it('the migration goes past the pooler, whose connections carry no lock of a session', () => {
  const [job] = onEks.filter(({ kind }) => kind === 'Job');
  expect(listAt(job, 'spec.template.spec.containers.0.env')).toContainEqual({
    name: 'DATABASE_URL',
    valueFrom: { secretKeyRef: { name: 'gateway-secrets', key: 'DIRECT_DATABASE_URL', optional: true } },
  });
});
