import { describe, expect, it } from 'vitest';
import { toHtml, toMarkdown } from '../../../runbooks/engine/document.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { reportDocument, runbookDocument } from '../../../runbooks/engine/print.ts';
import { reportOf } from '../../../runbooks/engine/report.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { bookOf, EffectWorld, effectStep, optionsFor } from './world.ts';

const objectives = { recoverySeconds: 30, dataLossSeconds: 5 };

async function reportedRun(looksUntilDone: number, lost: number) {
  const journal = new MemoryJournal();
  const loss = effectStep('count', 0, {
    check: async () => ({ is: 'done', facts: { dataLossSeconds: lost, lostWrites: lost } }),
  });
  const book = { ...bookOf(effectStep('serve', looksUntilDone), loss), recoveredBy: 'serve' };
  await run(optionsFor(book, new EffectWorld(), { journal }));
  return { book, report: reportOf(book, await journal.read(), objectives) };
}

describe('a report', () => {
  it('measures the recovery from the decision to the step that recovers service, and judges it by the objectives', async () => {
    const { report } = await reportedRun(10, 0);
    expect(report).toMatchObject({ recoverySeconds: 10, objectivesMet: true, outcome: 'completed', actionItems: [] });
    const slow = await reportedRun(40, 0);
    expect(slow.report).toMatchObject({ recoverySeconds: 40, objectivesMet: false });
    expect(slow.report.actionItems).toEqual(['Recovery took 40 s, the objective is 30 s']);
  });

  it('says what was lost, and misses the objective by it', async () => {
    const { report } = await reportedRun(1, 7);
    expect(report).toMatchObject({ objectivesMet: false, losses: { dataLossSeconds: 7, lostWrites: 7 } });
    expect(report.actionItems).toEqual([
      'Up to 7 s of changes are lost, the objective is 5 s',
      "Account for acknowledged writes lost = 7; the list is in the journal's facts",
    ]);
  });

  it('says of how many gateways the last spend is nowhere, and what brings it back', async () => {
    const journal = new MemoryJournal();
    const count = effectStep('count', 0, { check: async () => ({ is: 'done', facts: { spendLogsUnfinished: 2 } }) });
    const book = bookOf(count);
    await run(optionsFor(book, new EffectWorld(), { journal }));
    const report = reportOf(book, await journal.read());
    expect(toMarkdown(reportDocument(report))).toContain('| gateways whose last spend was not archived | 2 |');
    expect(report.actionItems).toEqual(['Bring the disks of 2 gateways back: their last spend was not archived']);
  });

  it('does not call an objective met of which nothing is known', async () => {
    const journal = new MemoryJournal();
    const book = { ...bookOf(effectStep('serve')), recoveredBy: 'serve' };
    await run(optionsFor(book, new EffectWorld(), { journal }));
    const report = reportOf(book, await journal.read(), objectives);
    expect(report.objectivesMet).toBeUndefined();
    expect(report.actionItems).toEqual(['Find out how much data was lost: no step of the run could tell']);
    expect(toMarkdown(reportDocument(report))).toContain('| data loss, at most | not known (objective: 5 s) |');
  });

  it('of a book that recovers nothing measures its duration, and judges it by no objective', async () => {
    const journal = new MemoryJournal();
    const book = bookOf(effectStep('roll', 40));
    await run(optionsFor(book, new EffectWorld(), { journal }));
    const report = reportOf(book, await journal.read(), objectives);
    expect(report).toMatchObject({ durationSeconds: 40, objectives: undefined, actionItems: [] });
    expect(toMarkdown(reportDocument(report))).not.toContain('recovery time');
  });

  it('of a run that is not complete says so, and judges nothing', async () => {
    const journal = new MemoryJournal();
    const failing = effectStep('one', 1, { act: async () => Promise.reject(new Error('AccessDenied')) });
    const book = { ...bookOf(failing), recoveredBy: 'one' };
    await run(optionsFor(book, new EffectWorld(), { journal }));
    const report = reportOf(book, await journal.read(), objectives);
    expect(report).toMatchObject({ recoverySeconds: undefined, objectivesMet: undefined });
    expect(report.actionItems).toEqual([
      'Find out why "Bring about one" failed: AccessDenied',
      'The run is not complete: resume it, or take it back',
    ]);
  });

  it('is printed as Markdown and as a page that needs nothing else, with every event of the journal', async () => {
    const { report } = await reportedRun(1, 0);
    const markdown = toMarkdown(reportDocument(report));
    for (const { text } of report.timeline) expect(markdown).toContain(text);
    expect(markdown).toContain('| recovery time | 1.0 s (objective: 30 s) |');
    const page = toHtml(reportDocument(report), 'Report');
    expect(page).toContain('<td>1.0 s (objective: 30 s)</td>');
    expect(page).not.toMatch(/src=|href=/);
  });
});

describe('a printed runbook', () => {
  it('has every step with what to look at, what to do and whether it can be taken back', () => {
    const promote = effectStep('promote', 1, {
      confirm: 'eu-west-1',
      undo: { irreversible: 'a promoted replica cannot be demoted' },
      words: {
        check: 'is it a replica?',
        act: 'promote it',
        commands: ['aws rds <promote>'],
        canGoWrong: ['throttling'],
      },
    });
    const book = bookOf(effectStep('one'), promote);
    const markdown = toMarkdown(runbookDocument(book));
    for (const text of [
      '### 1. Bring about one',
      '### 2. Bring about promote',
      'type "eu-west-1"',
      'cannot be demoted',
      'throttling',
    ]) {
      expect(markdown).toContain(text);
    }
    expect(toHtml(runbookDocument(book), book.title)).toContain('aws rds &lt;promote&gt;');
  });
});
