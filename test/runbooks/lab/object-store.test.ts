import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { getObject, openS3, swapObject } from '../../../gateway/region/s3-bucket.ts';
import { startObjectStore } from '../../../runbooks/lab/object-store.ts';

const { signal } = new AbortController();
const found = async (...wanted: Parameters<typeof getObject>) => {
  const object = await getObject(...wanted);
  if (object === undefined || object === 'unchanged') throw new Error('it should be there');
  return object;
};
const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not-a-secret' };

async function client() {
  const store = await startObjectStore();
  const s3 = openS3({ region: 'eu-west-1', endpoint: store.url, credentials });
  onTestFinished(async () => {
    s3.destroy();
    await store.close();
  });
  return { store, s3 };
}

describe("the lab's object store, asked by the official client", () => {
  it('keeps objects, tells an unchanged one by its ETag, and lists what begins with a prefix, page by page', async () => {
    const { s3 } = await client();
    for (const key of ['runs/1/000001.json', 'runs/1/000002.json', 'runs/2/000001.json']) {
      await s3.send(new PutObjectCommand({ Bucket: 'books', Key: key, Body: key }));
    }
    const { body, etag } = await found(s3, 'books', 'runs/1/000002.json', signal);
    expect(body).toBe('runs/1/000002.json');
    expect(await getObject(s3, 'books', 'runs/1/000002.json', signal, etag)).toBe('unchanged');
    expect(await getObject(s3, 'books', 'runs/9', signal)).toBeUndefined();
    const first = await s3.send(new ListObjectsV2Command({ Bucket: 'books', Prefix: 'runs/', MaxKeys: 2 }));
    expect(first.Contents?.map(({ Key }) => Key)).toEqual(['runs/1/000001.json', 'runs/1/000002.json']);
    const token = first.NextContinuationToken;
    const rest = await s3.send(
      new ListObjectsV2Command({ Bucket: 'books', Prefix: 'runs/', ContinuationToken: token }),
    );
    expect(rest.Contents?.map(({ Key }) => Key)).toEqual(['runs/2/000001.json']);
    await expect(s3.send(new GetObjectCommand({ Bucket: 'books', Key: 'none' }))).rejects.toThrow('does not exist');
  });

  it('lets exactly one of many compare-and-swaps through, for new objects and for old ones', async () => {
    const { s3 } = await client();
    const race = (round: number, etag: string | undefined) =>
      Promise.all(
        Array.from({ length: 20 }, (_, writer) => swapObject(s3, 'b', 'k', etag, `${round}/${writer}`, signal)),
      );
    expect((await race(1, undefined)).filter(Boolean)).toHaveLength(1);
    const { etag } = await found(s3, 'b', 'k', signal);
    expect((await race(2, etag)).filter(Boolean)).toHaveLength(1);
    expect((await race(3, etag)).filter(Boolean)).toHaveLength(0);
  });

  it('lets a compare-and-swap pass when the same content was written again, as S3 does: claims carry a sequence', async () => {
    const { s3 } = await client();
    await swapObject(s3, 'b', 'k', undefined, 'same', signal);
    const { etag } = await found(s3, 'b', 'k', signal);
    expect(await swapObject(s3, 'b', 'k', etag, 'other', signal)).toBe(true);
    expect(await swapObject(s3, 'b', 'k', (await found(s3, 'b', 'k', signal)).etag, 'same', signal)).toBe(true);
    expect(await swapObject(s3, 'b', 'k', etag, 'again', signal)).toBe(true);
  });
});
