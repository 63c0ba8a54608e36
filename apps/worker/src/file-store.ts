import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { Settings } from '#config';
import { NonRetryableError } from '#jobs';

/** The files below `FILES_DIR`. Paths are relative to it and written with `/`. */
@Injectable()
export class FileStore {
  private readonly root: string;

  constructor(settings: Settings) {
    this.root = resolve(settings.FILES_DIR);
  }

  /**
   * Reads a file whose path came in a payload.
   *
   * @param maxBytes largest size that is accepted.
   * @throws NonRetryableError when the path leads to nothing, outside `FILES_DIR`, also by a symbolic link, or to
   *   something that is not a file or too large. Another attempt would find no other.
   */
  async read(path: string, maxBytes: number): Promise<Buffer> {
    if (isAbsolute(path) || path.split(/[\\/]/).includes('..') || path.includes('\0')) throw outside(path);
    // Without its folder this worker has lost its disk, and the file may still be on it.
    const root = await realpath(this.root).catch((error) => {
      throw new Error('The folder FILES_DIR is not there: make or mount it', { cause: error });
    });
    const target = await realpath(join(root, path)).catch((error) => {
      throw new NonRetryableError(
        `Cannot find ${JSON.stringify(path)} below FILES_DIR: put the file there, and replay the job`,
        { cause: error },
      );
    });
    if (!target.startsWith(root + sep)) throw outside(path);

    // Not following links closes the time between check and use; not blocking keeps a named pipe from holding us.
    const file = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      if (!stats.isFile())
        throw new NonRetryableError(`${JSON.stringify(path)} is not a file: name one below FILES_DIR`);
      if (stats.size > maxBytes) {
        throw new NonRetryableError(
          `${JSON.stringify(path)} is larger than ${maxBytes} bytes: use a smaller file`,
        );
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  /**
   * Writes a file whole or not at all: under a temporary name beside it, flushed to the disk, then renamed over what
   * was there. The temporary name is new each time, so that an attempt that was given up for dead cannot mix its
   * bytes into those of its successor; after kill -9 a `*.tmp` stays behind.
   *
   * @param path made by a handler; not checked.
   * @returns the bytes written.
   * @throws the signal's reason when aborted, or what reading `content` threw; then nothing has changed.
   */
  async write(
    path: string,
    content: AsyncIterable<string> | Iterable<Buffer>,
    signal: AbortSignal,
  ): Promise<number> {
    signal.throwIfAborted();
    const target = join(this.root, path);
    const temporary = `${target}.${randomUUID()}.tmp`;
    await mkdir(dirname(target), { recursive: true });
    // Open before anything can be aborted: a stream that is still opening makes its file after the removal below.
    const handle = await open(temporary, 'wx');
    try {
      const file = handle.createWriteStream({ flush: true });
      await pipeline(content, file, { signal });
      await rename(temporary, target);
      return file.bytesWritten;
    } catch (error) {
      await rm(temporary, { force: true });
      throw signal.aborted ? signal.reason : error;
    }
  }
}

function outside(path: string): NonRetryableError {
  return new NonRetryableError(
    `${JSON.stringify(path)} leads outside FILES_DIR: use a relative path without ".." to a file below it`,
  );
}
