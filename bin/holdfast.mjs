#!/usr/bin/env node
// `npx holdfast ...` on whatever Node the machine has: hands over to the pinned one.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

await import('./install.mjs');
const pinned = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
const entry = fileURLToPath(new URL('holdfast.ts', import.meta.url));
// As gateway/contract.ts has it (tested); whatever Node runs this file, it may not read TypeScript.
const flags = ['--max-semi-space-size=32'];
const child = spawn(existsSync(pinned) ? pinned : process.execPath, [...flags, entry, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// A terminal sends Ctrl-C to both; a process manager only to this one. Either way the child decides when it is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
