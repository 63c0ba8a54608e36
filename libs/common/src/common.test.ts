import { describe, expect, test } from '@jest/globals';
import { Logger } from '@nestjs/common';
import {
  Cache,
  PollingLoop,
  settledWithin,
  TransientError,
  untilAvailable,
  withResolvers,
  withTimeout,
} from './index.js';

class Away extends TransientError {}

function recorder() {
  const lines: string[] = [];
  const logger = { log: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
  return { lines, logger: logger as unknown as Logger };
}

/** A loop whose n-th run does what the n-th step says, and which is stopped after the last. */
async function play(steps: (() => unknown)[], intervalMs = 1) {
  const { lines, logger } = recorder();
  let run = 0;
  let finish = () => {};
  const played = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const loop = new PollingLoop({ name: 'Polling', logger, intervalMs }, async () => {
    const step = steps[run++];
    if (step) return (await step()) as boolean;
    finish();
    return false;
  });
  loop.start();
  await played;
  await loop.stop();
  return lines;
}

describe('PollingLoop', () => {
  const fail = (error: Error) => () => Promise.reject(error);

  test('logs an outage once when it begins and once when it ends', async () => {
    const lines = await play([fail(new Error('one')), fail(new Error('two')), () => undefined]);
    expect(lines).toEqual([
      'Polling failed and is tried again: one',
      expect.stringMatching(/^Polling works again after \d+\.\d s$/),
    ]);
  });

  test('leaves the end of a service that is away to those who log it', async () => {
    expect(await play([fail(new Away('away')), () => undefined])).toEqual([]);
  });

  test('runs again at once while there is more', async () => {
    const runs: string[] = [];
    const { logger } = recorder();
    const loop = new PollingLoop(
      { name: 'Polling', logger, intervalMs: 2 ** 30 },
      async () => runs.push('') < 3,
    );
    loop.start(0);
    while (runs.length < 3) await new Promise(setImmediate);
    await loop.stop();
    expect(runs).toHaveLength(3);
  });

  test('wake ends the rest, and counts while the task runs', async () => {
    const { logger } = recorder();
    let runs = 0;
    const loop = new PollingLoop({ name: 'Polling', logger, intervalMs: 2 ** 30 }, async () => {
      if (++runs === 1) loop.wake();
    });
    loop.start();
    loop.wake();
    while (runs < 2) await new Promise(setImmediate);
    await loop.stop();
  });

  test('stop waits for the current run and begins none after it', async () => {
    const { logger } = recorder();
    let [begun, ended] = [0, 0];
    let finish = () => {};
    const loop = new PollingLoop({ name: 'Polling', logger, intervalMs: 1 }, async () => {
      begun++;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      ended++;
      return true;
    });
    loop.start(0);
    while (begun === 0) await new Promise(setImmediate);
    const stopped = loop.stop();
    finish();
    await stopped;
    expect([begun, ended]).toEqual([1, 1]);
  });
});

describe('untilAvailable', () => {
  const signal = new AbortController().signal;

  test('tries again what is away, tells once, and gives the result', async () => {
    const outages: Error[] = [];
    let runs = 0;
    const task = async () => {
      if (++runs < 3) throw new Away(`${runs}`);
      return runs;
    };
    expect(await untilAvailable(task, signal, (error) => outages.push(error))).toBe(3);
    expect(outages.map(({ message }) => message)).toEqual(['1']);
  });

  test('throws at once what will not pass', async () => {
    await expect(untilAvailable(() => Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  });

  test('gives up when it is told to', async () => {
    const stop = new AbortController();
    const failed = untilAvailable(() => Promise.reject(new Away('away')), stop.signal);
    stop.abort();
    await expect(failed).rejects.toThrow('away');
  });
});

test('settledWithin tells whether a promise settled in time, and throws nothing', async () => {
  expect(await settledWithin(Promise.reject(new Error('no')), 1_000)).toBe(true);
  expect(await settledWithin(new Promise(() => {}), 1)).toBe(false);
});

describe('withTimeout', () => {
  const never = new Promise(() => {});

  test('gives what the promise gives, or fails as it does', async () => {
    expect(await withTimeout(Promise.resolve('in time'), 1_000, () => 'late')).toBe('in time');
    await expect(withTimeout(Promise.reject(new Error('no')), 1_000, () => 'late')).rejects.toThrow('no');
  });

  test('says what to do when the time is over', async () => {
    expect(await withTimeout(never, 1, () => 'late')).toBe('late');
    const failed = withTimeout(never, 1, () => {
      throw new Error('too late');
    });
    await expect(failed).rejects.toThrow('too late');
  });
});

describe('Cache', () => {
  test('reads once for all who ask at once, and not again while the value is fresh', async () => {
    let reads = 0;
    const cache = new Cache(async () => ++reads, { freshMs: 2 ** 30 });
    expect(await Promise.all([cache.get(), cache.get(), cache.refresh()])).toEqual([1, 1, 1]);
    expect(await cache.get()).toBe(1);
    expect(await cache.refresh()).toBe(2);
  });

  test('a value is fresh for as many times as long as it took to read as the factor says', async () => {
    let reads = 0;
    const read = () => new Promise((resolve) => setImmediate(resolve, ++reads));
    const [slow, quick] = [new Cache(read, { freshFactor: 2 ** 30 }), new Cache(read, { freshFactor: 0 })];
    expect([await slow.get(), await slow.get()]).toEqual([1, 1]);
    expect([await quick.get(), await quick.get()]).toEqual([2, 3]);
  });

  test('who asks gets the last value when a newer one takes too long', async () => {
    const values = [Promise.resolve('old'), new Promise<string>(() => {})];
    const cache = new Cache(() => values.shift() as Promise<string>, { maxWaitMs: 1 });
    expect([await cache.get(), await cache.get()]).toEqual(['old', 'old']);
  });

  test('what was being read when the value changed is not kept', async () => {
    const reads = [withResolvers<string>(), withResolvers<string>()];
    const cache = new Cache(() => (reads.shift() as (typeof reads)[number]).promise, { freshMs: 2 ** 30 });
    const [first, second] = reads as [(typeof reads)[number], (typeof reads)[number]];
    const before = cache.get();
    cache.clear();
    const after = cache.get();
    second.resolve('after');
    first.resolve('before');
    expect(await Promise.all([before, after, cache.get()])).toEqual(['before', 'after', 'after']);
  });

  test('a failure is thrown to those who asked, and not kept', async () => {
    const values = [Promise.reject(new Error('no')), Promise.resolve('yes')];
    const cache = new Cache(() => values.shift() as Promise<string>);
    await expect(cache.get()).rejects.toThrow('no');
    expect(await cache.get()).toBe('yes');
  });
});
