/** Versions of the gateway in the lab. An image is a folder with a Holdfast in it: this one, or another checkout. */
import { access, readdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { ReleasePart, Releases } from '../books/release.ts';
import { hasCode } from './error-code.ts';
import { migrateLab } from './gateway-process.ts';
import { ask } from './region-database.ts';
import { regionNamed, requireZone } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

/** @param directory for logs of migrations. */
export function labReleases(lab: TwoRegions, directory: string): Releases {
  const placesOf = ({ region, zone }: ReleasePart) => {
    const name = regionNamed(region);
    if (zone !== undefined) requireZone(name, zone);
    const here = lab.region(name);
    return here.places.flatMap((place, index) => (zone === undefined || place.zone === zone ? { place, index } : []));
  };
  const writerUrl = async (signal: AbortSignal): Promise<string> => {
    const writer = (await lab.claims.read(signal)).agreed?.writer;
    if (writer === undefined) throw new Error('the claim names no writer');
    return lab.region(regionNamed(writer)).operatorUrl;
  };
  return {
    view: async (part) => {
      const images = placesOf(part).map(({ place }) => place.image);
      const [image = ''] = images;
      const others = images.find((one) => one !== image);
      // While a roll is under way both are there: what is missing yet is what was there before.
      return { image: others ?? image, isRolledOut: others === undefined };
    },
    roll: async (part, image, _token, signal) => {
      await requireImage(image);
      for (const { place, index } of placesOf(part)) {
        signal.throwIfAborted();
        if (place.image !== image) await lab.region(regionNamed(part.region)).replaceGateway(index, image);
      }
    },
    schema: async (image, signal) => {
      await requireImage(image);
      const [row] = await ask(
        await writerUrl(signal),
        'SELECT name FROM migration ORDER BY name DESC LIMIT 1',
        [],
        signal,
      );
      const there: unknown = row?.['name'];
      return { there: typeof there === 'string' ? there : '', wanted: await newestMigration(image) };
    },
    migrate: async (image, _token, signal) =>
      migrateLab(await writerUrl(signal), join(directory, 'release-migrate.log'), image),
  };
}

/** @throws for people who typed it. */
async function requireImage(image: string): Promise<void> {
  try {
    if (isAbsolute(image)) return await access(join(image, 'bin/holdfast.ts'));
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTDIR')) throw error;
  }
  throw new Error(`${image} is no image of the lab: name the folder of a Holdfast by its full path`);
}

/** As the database names it once it is applied; empty = the image brings none. */
async function newestMigration(image: string): Promise<string> {
  const files = await readdir(join(image, 'gateway/stores/migrations')).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
  const newest = files
    .filter((name) => name.endsWith('.sql'))
    .toSorted()
    .at(-1);
  return newest?.replace(/\.sql$/, '') ?? '';
}
