/** The printed runbooks of this repository. `npm test -- test/runbooks/pages.test.ts -u` writes them anew. */
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import platform from '../../holdfast.config.ts';
import { alerts } from '../../lib/alerts/alerts.ts';
import { withNames } from '../../runbooks/books/page-names.ts';
import { buildBook, printedBook, printedParameters, typedParameters } from '../../runbooks/books/registry.ts';
import { type RunbookId, runbookPage, runbookTitles } from '../../runbooks/catalog.ts';
import { toMarkdown } from '../../runbooks/engine/document.ts';
import { runbookDocument } from '../../runbooks/engine/print.ts';

const page = (id: RunbookId): string =>
  toMarkdown(runbookDocument(printedBook(id), typedParameters(printedParameters(id))));
const root = join(import.meta.dirname, '..', '..');
const ids = Object.keys(runbookTitles).filter((id): id is RunbookId => id in runbookTitles);

it.each(ids)('%s: its page is what the book says', async (id) => {
  await expect(page(id)).toMatchFileSnapshot(join(root, runbookPage(id)));
});

it('there is a page for every book and for nothing else', () => {
  const pages = globSync('runbooks/*.md', { cwd: root }).map((path) => basename(path, '.md'));
  expect(pages.toSorted()).toEqual([...ids].toSorted());
});

it('every runbook that an alert names has a page', () => {
  const named = alerts.flatMap(({ runbook }) => (runbook === undefined ? [] : [runbook]));
  expect(named.length).toBeGreaterThan(3);
  const pages = globSync('runbooks/*.md', { cwd: root });
  for (const id of named) expect(pages).toContain(runbookPage(id));
});

it.each(ids)('%s: its page begins with what a person needs who was paged a minute ago', (id) => {
  const text = page(id);
  const places = [
    'How long it takes:',
    'Who notices:',
    '## When not to use it',
    '## Look first',
    '## Run it',
    '## Steps',
  ];
  const found = places.map((place) => text.indexOf(place));
  expect(found).not.toContain(-1);
  expect(found).toEqual(found.toSorted((one, other) => one - other));
  // Nothing is said twice in a step, and no time in thousands of seconds.
  expect(text).not.toMatch(/at most \d{4,} s/);
});

it("shown for a platform, its commands have the platform's own names", () => {
  const parameters = { target: 'us-west-2', former: 'us-east-1' };
  const book = buildBook('region-failover', parameters);
  const text = toMarkdown(withNames(runbookDocument(book), platform));
  expect(text).toContain('--region us-west-2 --stack-name holdfast-production-us-west-2-data ');
  expect(text).toMatch(/s3:\/\/holdfast-production-us-west-2-takeover-\d{12}\/takeover\.json/);
  expect(text).toContain('npx holdfast verify https://us-west-2.gateway.example.com --write');
  expect(text).toMatch(/majority: holdfast-production-us-east-1-claim-\d+, holdfast-production-us-west-2-claim-/);
  const commands = text.match(/```sh[^`]*```/g)?.join('\n') ?? '';
  expect([...new Set(commands.match(/\b[A-Z][A-Z-]{3,}\b(?!_)/g))].toSorted()).toEqual([
    'CLAIM-BUCKET',
    'EPOCH',
    'ETAG',
    'NEEDED',
    'UPDATE',
    'WHERE',
  ]);
});

it('no page leaves a region unnamed', () => {
  for (const id of ids) expect(page(id), id).not.toMatch(/undefined|\bof \. |\$\{/);
});
