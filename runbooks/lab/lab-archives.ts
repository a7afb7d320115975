/** Where the regions archive their spend: each in the object store of the other one, as on AWS. */
import { join } from 'node:path';
import type { LabLinks } from './lab-links.ts';
import { type ObjectStore, startObjectStore } from './object-store.ts';
import { otherRegion, type RegionName, regionNames } from './region-name.ts';
import type { LabNetworks } from './region-network.ts';

/** Spend of one region, as an operator reaches it from outside. */
export interface LabArchive {
  readonly bucket: string;
  /** Of the bucket. */
  readonly region: RegionName;
  readonly endpoint: string;
  /** Whose spend it is. */
  readonly from: RegionName;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };
const bucketIn = (region: RegionName): string => `outbox-${region}`;

export class LabArchives {
  readonly #links: LabLinks;
  readonly #directory: string;
  readonly #stores: ObjectStore[] = [];

  /** @param directory for what they keep: an archive grows as long as there are clients. */
  constructor(links: LabLinks, directory: string) {
    this.#links = links;
    this.#directory = directory;
  }

  async open(networks: LabNetworks): Promise<void> {
    for (const name of regionNames) {
      const store = await startObjectStore({ directory: join(this.#directory, `${name}-objects`) });
      this.#stores.push(store);
      await this.#links.open(`outside>${name}.archive`, { port: store.port });
      const from = otherRegion(name);
      const listenHost = networks[from].outside;
      await this.#links.open(`${from}.gateways>${name}.archive`, { port: store.port, listenHost });
    }
  }

  /** What the gateways of a region are told. */
  environmentOf(from: RegionName): Readonly<Record<string, string>> {
    const region = otherRegion(from);
    return {
      HOLDFAST_OUTBOX_ARCHIVE: `${bucketIn(region)}@${region}`,
      HOLDFAST_OUTBOX_ARCHIVE_ENDPOINT: `http://${this.#links.of(`${from}.gateways>${region}.archive`).address}`,
    };
  }

  get all(): readonly LabArchive[] {
    return regionNames.map((from) => {
      const region = otherRegion(from);
      const endpoint = `http://${this.#links.of(`outside>${region}.archive`).address}`;
      return { bucket: bucketIn(region), region, endpoint, from, credentials };
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
  }
}
