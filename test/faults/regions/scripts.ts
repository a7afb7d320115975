/** What has to happen, in which order, for each naive design to break; the chosen one holds in all of them. */
import { ask } from '../../../runbooks/lab/region-database.ts';
import type { RegionGateway } from './region-gateway.ts';
import { type Script, type Stage, sleep, until } from './run.ts';
import type { naive } from './variants.ts';

const acknowledgedBy = (stage: Stage, region: string, since: number): Promise<boolean> =>
  until(
    () => stage.history.slice(since).some((event) => event.is === 'acknowledged' && event.region === region),
    10_000,
  );

const inA = ({ gateways }: Stage): RegionGateway[] => gateways.filter(({ name }) => name === 'a');

/** A door that commits wait at, and how one knows that somebody does. */
function door(): { pass: () => Promise<void>; open: () => void; isWaitedAt: () => Promise<boolean> } {
  const opened = Promise.withResolvers<void>();
  let waiting = 0;
  return {
    pass: () => {
      waiting++;
      return opened.promise;
    },
    open: () => opened.resolve(),
    isWaitedAt: () => until(() => waiting > 0, 10_000),
  };
}

async function failOver(stage: Stage): Promise<void> {
  const since = stage.history.length;
  await stage.operator.failover('b', 'run-1');
  stage.writer = 'b';
  await acknowledgedBy(stage, 'b', since);
}

const cutOff: Script = async (stage) => {
  await stage.lab.partition();
  await failOver(stage);
  // The old writer hears nothing, and its clients go on.
  await sleep(1_000);
};

/** Only the writer's database has what happens now; then it is gone. */
const lagging: Script = async (stage) => {
  await stage.lab.link('b.database>a.database').set({ freeze: 'both' });
  await sleep(3_000);
  stage.lab.region('a').database.kill('SIGKILL');
  await failOver(stage);
};

export const scripts: Readonly<Record<keyof typeof naive, Script>> = {
  'no lease': cutOff,
  'no second look': async (stage) => {
    const answer = door();
    for (const gateway of inA(stage)) gateway.afterCommit = answer.pass;
    await answer.isWaitedAt();
    await stage.lab.partition();
    await failOver(stage);
    answer.open();
    await sleep(500);
  },
  'a row that does not name its writer': async (stage) => {
    const since = stage.history.length;
    await stage.lab.partition();
    stage.operator.afterStep = async (step) => {
      if (step === 'promoted') await sleep(2_000);
    };
    await failOver(stage);
    await acknowledgedBy(stage, 'b', since);
  },
  'no lock on the row': async (stage) => {
    const commit = door();
    for (const gateway of inA(stage)) gateway.beforeCommit = commit.pass;
    await commit.isWaitedAt();
    await stage.operator.switchover('b', 'run-1', async () => {
      await stage.lab.link('b.database>a.database').set({ freeze: 'both' });
      commit.open();
      await sleep(300);
    });
    stage.writer = 'b';
  },
  'forgets what is committed': lagging,
  'forgets by the position in the log': async (stage) => {
    const { lab, operator } = stage;
    await lab.link('b.database>a.database').set({ freeze: 'both' });
    await sleep(3_000);
    lab.region('a').database.kill('SIGKILL');
    // The new writer cannot be told again what it lacks, and its log grows beyond where the old one ended.
    await lab.link('a.gateways>b.gateways').set({ freeze: 'both' });
    operator.afterStep = async (step) => {
      if (step !== 'opened') return;
      for (let count = 0; count < 2; count++) await ask(lab.region('b').operatorUrl, 'SELECT pg_switch_wal()');
      await sleep(1_500);
    };
    await failOver(stage);
  },
  'counts again what it is sent again': async (stage) => {
    const link = stage.lab.link('a.gateways>a.database');
    for (let count = 0; count < 6; count++) {
      // What is committed meanwhile is committed unheard.
      await link.set({ freeze: 'down' });
      await sleep(300);
      link.cut();
      await link.heal();
      await sleep(700);
    }
  },
  'no report before the rebuild': lagging,
  'no wait before the promotion': cutOff,
  'an epoch that is counted up': async (stage) => {
    stage.operator.afterStep = async (step) => {
      if (step === 'seized') throw new Error('left');
    };
    await stage.operator.failover('b', 'run-1').catch(() => undefined);
    stage.operator.afterStep = async () => undefined;
    await stage.operator.abort('a', 'run-2');
  },
};

/** Of the lease. Where something has to happen within it, there is time for it on a busy machine. */
export const ttlSecondsOf: Partial<Readonly<Record<keyof typeof naive, number>>> = {
  'no lock on the row': 12,
  'no wait before the promotion': 12,
};
