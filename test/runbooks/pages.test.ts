/** The printed runbooks of this repository. `npm test -- test/runbooks/pages.test.ts -u` writes them anew. */
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { alerts } from '../../lib/alerts/alerts.ts';
import { printedBook, printedParameters, typedParameters } from '../../runbooks/books/registry.ts';
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

it('no page leaves a region unnamed', () => {
  for (const id of ids) expect(page(id), id).not.toMatch(/undefined|\bof \. /);
});
