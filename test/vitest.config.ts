import { defineConfig } from 'vitest/config';

/** Two suites: `fast` needs nothing but this process; `real` starts PostgreSQL, Redis, gateways and clients. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**'],
    // PostgreSQL and Redis of the run; neither is started before a test asks for it.
    globalSetup: ['test/support/servers.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The CloudFormation validation costs seconds per template; `npm run synth` runs it once over everything.
    env: { CDK_VALIDATION: 'false' },
  },
});
