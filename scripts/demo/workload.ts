import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

/** One job that the demo enqueues, and how it must end. */
export interface Planned {
  name: string;
  payload: unknown;
  ends: 'succeeded' | 'dead';
  attempts: number;
}

export const MAILS = 1_000;
export const WEBHOOKS = 20;
export const PICTURES = 6;
export const WIDTHS = [320, 800, 1_600];
export const SALES = 1_000_000;
/** All of the sales and, again, each half of them. */
const PERIODS = [
  { from: '2025-01-01', to: '2025-12-31' },
  { from: '2025-01-01', to: '2025-06-30' },
  { from: '2025-07-01', to: '2025-12-31' },
];

/** Everything that the demo enqueues: what takes long comes first, so that it runs beside the rest. */
export function planJobs(pictures: readonly string[], webhookUrl: string): Planned[] {
  const succeeding = (name: string, payload: unknown, attempts = 1): Planned => ({
    name,
    payload,
    ends: 'succeeded',
    attempts,
  });
  return [
    ...PERIODS.map((period) => succeeding('report.generate', period)),
    succeeding('demo.flaky', { failures: 2 }, 3),
    { name: 'demo.flaky', payload: { failures: 100 }, ends: 'dead', attempts: 4 },
    ...pictures.map((source) => succeeding('image.resize', { source, widths: WIDTHS })),
    ...numbers(WEBHOOKS).map((number) =>
      succeeding('webhook.deliver', { url: webhookUrl, type: 'order.shipped', data: { order: number } }),
    ),
    ...numbers(MAILS).map((number) =>
      succeeding('email.send', {
        to: `customer-${number}@example.com`,
        subject: `Your order ${number} is on its way`,
        text: `Dear customer ${number},\n\nyour order left our warehouse today.\n`,
      }),
    ),
  ];
}

/** Makes pictures to be resized. @returns their paths within the folder. */
export async function makePictures(folder: string): Promise<string[]> {
  await mkdir(join(folder, 'pictures'), { recursive: true });
  return Promise.all(
    numbers(PICTURES).map(async (number) => {
      const path = join('pictures', `sunrise-${number}.jpg`);
      await sharp(Buffer.from(sunrise((number * 360) / PICTURES)))
        .jpeg()
        .toFile(join(folder, path));
      return path;
    }),
  );
}

const sunrise = (hue: number) => `
  <svg xmlns="http://www.w3.org/2000/svg" width="3000" height="2000">
    <linearGradient id="sky" x2="0" y2="1">
      <stop stop-color="hsl(${hue}, 60%, 30%)"/>
      <stop offset="1" stop-color="hsl(${hue + 40}, 90%, 75%)"/>
    </linearGradient>
    <rect width="3000" height="2000" fill="url(#sky)"/>
    <circle cx="1500" cy="1400" r="420" fill="hsl(${hue + 60}, 100%, 85%)"/>
  </svg>`;

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
