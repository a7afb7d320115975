/** `holdfast spend reprice` */
import { NotWriter } from '../gateway/domain/keys.ts';
import { toDollars } from '../gateway/domain/limit-fields.ts';
import { entryPricer } from '../gateway/pricing/reprice.ts';
import { readConfig } from '../gateway/read-config.ts';
import { readSettings } from '../gateway/settings.ts';
import { describeStartError } from '../gateway/start-error.ts';
import { describeUrl } from '../gateway/stores/postgres.ts';
import { ReplicaOf, repriceLedger } from '../gateway/stores/repricing.ts';
import { fail, say } from './say.ts';

const whyNot = {
  replica: 'The database became a replica while this ran',
  'another-epoch': 'No region may write now: the right to write is moving from one to another',
  'lease-over':
    'The right to write has run out, and nobody has renewed it: does a gateway run in the region that writes?',
  'beyond-rpo': 'Every replica is farther behind than may be lost (HOLDFAST_REFUSE_BEYOND_RPO_SECONDS)',
} as const;

export async function repriceSpend({ config: file }: { readonly config?: string }): Promise<number> {
  try {
    const settings = readSettings();
    const { config } = await readConfig(
      file === undefined ? settings : { ...settings, configPath: file, configIsNamed: true },
    );
    const databaseUrl = settings.databaseUrl ?? config.databaseUrl;
    if (databaseUrl === undefined)
      return fail('Set DATABASE_URL (or POSTGRES_HOST and so on) to the database whose spend shall be priced.', 2);
    const { seen, priced, micros } = await repriceLedger(databaseUrl, entryPricer(config), ({ next }) => {
      if (next !== undefined) say(`... up to ${next.day}`);
    });
    say(
      `${describeUrl(databaseUrl)}: ${seen} requests had no cost; ${priced} have one now, ${toDollars(micros)} dollars together.${
        seen > priced
          ? ` ${seen - priced} are still without: no price is known for them, or nobody counted their tokens.`
          : ''
      }`,
    );
    return 0;
  } catch (error) {
    if (error instanceof ReplicaOf)
      return fail(
        `The database is a replica: nothing was changed. Run this in the region that writes (${error.writer}), or POST /spend/reprice to a gateway of any region, which passes it on`,
        1,
      );
    if (error instanceof NotWriter) return fail(`${whyNot[error.reason]}. Nothing was changed; try again.`, 1);
    const { message, exitCode } = describeStartError(error);
    return fail(message, exitCode);
  }
}
