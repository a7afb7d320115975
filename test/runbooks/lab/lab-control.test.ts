/** The port of a lab that is up: who may ask, and what is left of a lab that is gone. */
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { askLab, type ControlledLab, findLab, LabAway, openLabControl } from '../../../runbooks/lab/lab-control.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const nobodyAsks = (): never => {
  throw new Error('nobody asks for this');
};
/** Stands for two regions of processes: these tests are about the port before them. */
const bare: ControlledLab = {
  get lab() {
    return nobodyAsks();
  },
  get services() {
    return nobodyAsks();
  },
  takeBackups: async () => undefined,
  clients: () => ({}),
  map: { stores: ['http://127.0.0.1:9'], regions: {}, key: 'sk-k', model: 'chat' },
};

async function open(): Promise<string> {
  const file = join(await temporaryDirectory(), 'lab.json');
  const control = await openLabControl(bare, file);
  onTestFinished(() => control.close());
  return file;
}

/** What it answers to bytes that no client of ours sends. */
const answerTo = (port: number, request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.end(Buffer.from(request, 'latin1')));
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });

it.each([
  ['a path that is no address', (_word: string) => '// HTTP/1.1\r\n'],
  ['a word of other letters', (word: string) => `/status HTTP/1.1\r\nx-lab-word: ${'é'.repeat(word.length)}\r\n`],
  ['no word', () => '/status HTTP/1.1\r\n'],
])('refuses whoever is not its own, and lives on: %s', async (_case, request) => {
  const file = await open();
  const { url, word } = await findLab(file);
  const answer = await answerTo(
    Number(new URL(url).port),
    `POST ${request(word)}host: lab\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
  );
  expect(answer).toMatch(/^HTTP\/1.1 401 /);
  await expect(askLab(file, 'status')).rejects.toThrow('The lab refused: nobody asks for this');
});

it('a lab that was killed is away, also when another lab has its port by now', async () => {
  const [gone, other] = [await open(), await open()];
  const killed = await readFile(gone, 'utf8');
  const { word } = await findLab(gone);
  const { url } = await findLab(other);
  await writeFile(gone, JSON.stringify({ ...JSON.parse(killed), url, word }));
  await expect(askLab(gone, 'status')).rejects.toThrow(LabAway);
  await expect(askLab(gone, 'status')).rejects.toThrow('npx holdfast lab up');
});
