import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { loadSettings } from '#config';
import { ResizeImage } from '#contracts';
import { NonRetryableError } from '#jobs';
import { givenJob } from '#testing';
import { FileStore } from '../file-store.js';
import { OutboundHttp } from '../outbound-http.js';
import { RefusedTargetError } from '../public-connector.js';
import { ResizeImageHandler } from './resize-image.handler.js';

let folder: string;
let handler: ResizeImageHandler;
let guardedHandler: ResizeImageHandler;
let http: OutboundHttp;
let server: Server;
let origin: string;

const written = async (path: string) => readFile(join(folder, path));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'warren-images-'));
  await mkdir(join(folder, 'in'));
  // 400 wide and 200 high as it is stored; lying on its side, as its orientation says.
  const photo = await sharp({ create: { width: 400, height: 200, channels: 3, background: '#c33' } })
    .jpeg()
    .withExif({ IFD0: { Copyright: 'CANARY' } })
    .withMetadata({ orientation: 6 })
    .toBuffer();
  await writeFile(join(folder, 'in/photo.jpg'), photo);
  const noise = {
    width: 600,
    height: 300,
    channels: 3,
    noise: { type: 'gaussian', mean: 128, sigma: 60 },
  } as const;
  await writeFile(
    join(folder, 'in/noise.png'),
    await sharp({ create: { ...noise, background: '#000' } })
      .png()
      .toBuffer(),
  );
  await writeFile(join(folder, 'in/truncated.jpg'), photo.subarray(0, Math.floor(photo.length * 0.6)));
  await writeFile(join(folder, 'in/text.jpg'), 'no picture at all');
  await writeFile(join(folder, 'in/empty.jpg'), '');
  await writeFile(
    join(folder, 'in/drawing.svg'),
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
  );
  await writeFile(
    join(folder, 'in/bomb.png'),
    await sharp({ create: { width: 8_000, height: 7_000, channels: 3, background: '#fff' } })
      .png()
      .toBuffer(),
  );
  await writeFile(
    join(folder, 'in/transparent.png'),
    await sharp({ create: { width: 50, height: 50, channels: 4, background: '#0000' } })
      .png()
      .toBuffer(),
  );
  await symlink('/etc/hostname', join(folder, 'in/link.jpg'));

  server = createServer((request, response) => {
    if (request.url === '/photo.jpg') response.end(photo);
    else if (request.url === '/moved.jpg') response.writeHead(302, { location: '/photo.jpg' }).end();
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const settings = loadSettings({ FILES_DIR: folder, ALLOW_PRIVATE_TARGETS: 'true' });
  http = new OutboundHttp(settings);
  handler = new ResizeImageHandler(new FileStore(settings), http);
  guardedHandler = new ResizeImageHandler(new FileStore(settings), new OutboundHttp(loadSettings({})));
});

afterAll(async () => {
  await http.onApplicationShutdown();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

test('makes a smaller copy for each width and tells its progress', async () => {
  const job = givenJob(ResizeImage, { source: 'in/noise.png', widths: [300, 60, 300] });
  const { files } = await handler.handle(job);

  expect(files.map(({ path, width, height }) => ({ path, width, height }))).toEqual([
    { path: `images/${job.id}/300.webp`, width: 300, height: 150 },
    { path: `images/${job.id}/60.webp`, width: 60, height: 30 },
  ]);
  for (const { path, width, height, bytes } of files) {
    const file = await written(path);
    expect(file.length).toBe(bytes);
    expect(await sharp(file).metadata()).toMatchObject({ format: 'webp', width, height });
  }
  expect(await readdir(join(folder, 'images', job.id))).toEqual(['300.webp', '60.webp']);
  expect(job.told.map(({ fraction }) => fraction)).toEqual([0.5, 1]);
  expect(ResizeImage.result.safeParse({ files }).success).toBe(true);
});

test.each([
  ['jpeg', 'jpeg'],
  ['png', 'png'],
  ['webp', 'webp'],
  ['avif', 'heif'],
] as const)('writes %s, which it can read again', async (format, detected) => {
  const { files } = await handler.handle(
    givenJob(ResizeImage, { source: 'in/noise.png', widths: [64], format }),
  );
  expect((await sharp(await written(files[0]!.path)).metadata()).format).toBe(detected);
  const again = await handler.handle(givenJob(ResizeImage, { source: files[0]!.path, widths: [32], format }));
  expect(again.files[0]).toMatchObject({ width: 32, height: 16 });
});

test('turns the picture upright and leaves its metadata out', async () => {
  const job = givenJob(ResizeImage, { source: 'in/photo.jpg', widths: [100], format: 'jpeg' });
  const { files } = await handler.handle(job);
  expect(files[0]).toMatchObject({ width: 100, height: 200 });
  const file = await written(files[0]!.path);
  expect(file.includes('CANARY')).toBe(false);
  const { exif, orientation } = await sharp(file).metadata();
  expect({ exif, orientation }).toEqual({ exif: undefined, orientation: undefined });
});

test('never enlarges', async () => {
  const { files } = await handler.handle(givenJob(ResizeImage, { source: 'in/photo.jpg', widths: [5_000] }));
  expect(files[0]).toMatchObject({ width: 200, height: 400 });
});

test('what is transparent is white in a JPEG', async () => {
  const job = givenJob(ResizeImage, { source: 'in/transparent.png', widths: [10], format: 'jpeg' });
  const { files } = await handler.handle(job);
  expect([
    ...(
      await sharp(await written(files[0]!.path))
        .raw()
        .toBuffer()
    ).subarray(0, 3),
  ]).toEqual([255, 255, 255]);
});

test('a second attempt writes the same files again', async () => {
  const job = givenJob(ResizeImage, { source: 'in/noise.png', widths: [50] });
  const first = await handler.handle(job);
  const before = await stat(join(folder, first.files[0]!.path));
  expect(await handler.handle({ ...job, attempt: 2 })).toEqual(first);
  const after = await stat(join(folder, first.files[0]!.path));
  expect(after.ino).not.toBe(before.ino);
  expect(await readdir(join(folder, 'images', job.id))).toEqual(['50.webp']);
});

test.each([
  ['text', 'in/text.jpg'],
  ['nothing', 'in/empty.jpg'],
  ['half a JPEG', 'in/truncated.jpg'],
  ['a drawing that is a program (SVG)', 'in/drawing.svg'],
  ['more pixels than 50 million', 'in/bomb.png'],
])('%s is refused for good', async (_, source) => {
  const failed = handler.handle(givenJob(ResizeImage, { source, widths: [10] }));
  await expect(failed).rejects.toThrow(NonRetryableError);
  await expect(failed).rejects.toThrow(/The picture cannot be resized: .*JPEG, PNG, WebP, AVIF and GIF/s);
});

test.each(['/etc/hostname', '../photo.jpg', 'in/../../photo.jpg', 'in/link.jpg', 'file:///etc/hostname'])(
  'the source %p is refused',
  async (source) => {
    const failed = handler.handle(givenJob(ResizeImage, { source, widths: [10] }));
    await expect(failed).rejects.toThrow(/leads outside FILES_DIR|Cannot find/);
  },
);

test('fetches a picture from a URL', async () => {
  const { files } = await handler.handle(
    givenJob(ResizeImage, { source: `${origin}/photo.jpg`, widths: [20] }),
  );
  expect(files[0]).toMatchObject({ width: 20, height: 40 });
});

test.each(['/missing.jpg', '/moved.jpg'])(
  'a URL that answers other than 200 (%s) is an ordinary failure',
  async (path) => {
    const failed = handler.handle(givenJob(ResizeImage, { source: origin + path, widths: [20] }));
    await expect(failed).rejects.toThrow(/answered (404|302, a redirect)/);
    await expect(failed).rejects.not.toThrow(NonRetryableError);
  },
);

test('a URL of a private address is refused unless it is allowed', async () => {
  const failed = guardedHandler.handle(
    givenJob(ResizeImage, { source: `${origin}/photo.jpg`, widths: [20] }),
  );
  await expect(failed).rejects.toThrow(RefusedTargetError);
});

test('stops between two widths when aborted', async () => {
  const controller = new AbortController();
  const reason = new Error('time is over');
  const job = givenJob(
    ResizeImage,
    { source: 'in/noise.png', widths: [10, 20, 30] },
    { signal: controller.signal, progress: () => controller.abort(reason) },
  );
  await expect(handler.handle(job)).rejects.toBe(reason);
  expect(await readdir(join(folder, 'images', job.id))).toEqual(['10.webp']);
});
