import { defineConfig } from 'vitest/config';

/** Every suite. Real PostgreSQL and Redis are started once for a run, when a test asks for them. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**'],
    // PostgreSQL and Redis of the run; neither is started before a test asks for it.
    globalSetup: ['test/support/servers.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    // The CloudFormation validation costs seconds per template; `npm run synth` runs it once over everything.
    env: { CDK_VALIDATION: 'false' },
  },
});
