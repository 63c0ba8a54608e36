import sharp from 'sharp';
import { ResizeImage } from '#contracts';
import { type Handler, type JobContext, JobHandler, NonRetryableError, type PayloadOf } from '#jobs';
import { FileStore } from '../file-store.js';
import { OutboundHttp } from '../outbound-http.js';

/** Largest source, in bytes. */
const MAX_BYTES = 20 * 1024 * 1024;
/** Largest source, in pixels: what most cameras make, and 200 MB when decoded. Stops decompression bombs. */
const MAX_PIXELS = 50_000_000;
/**
 * libvips cannot be told to stop, only to give up after a time, which the AVIF encoder ignores. 48 million
 * pixels took one core 1 s as JPEG, 4 s as PNG, 18 s as WebP and 25 s as AVIF.
 */
const RESIZE_TIMEOUT_S = 60;
/** sharp's default of 4 took 90 s there, and seven times as long as this at usual sizes, for 7 % fewer bytes. */
const AVIF_EFFORT = 2;

// One thread for each picture leaves the other cores to the other jobs; nothing is resized twice, so nothing is cached.
sharp.concurrency(1);
sharp.cache(false);
// For the whole process: pictures as people upload them. SVG, PDF and the like are programs rather than pictures.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Heif', 'Nsgif'].flatMap((format) => [
    `VipsForeignLoad${format}Buffer`,
    `VipsForeignLoad${format}File`,
  ]),
});

/** Makes smaller copies of a picture in `images/<job id>/<width>.<format>`. Another attempt makes the same files. */
@JobHandler(ResizeImage, { isolated: true })
export class ResizeImageHandler implements Handler<typeof ResizeImage> {
  constructor(
    private readonly files: FileStore,
    private readonly http: OutboundHttp,
  ) {}

  async handle({ id, payload, signal, progress }: JobContext<typeof ResizeImage>) {
    const { source, format } = payload;
    const picture = /^https?:\/\//i.test(source)
      ? await this.http.download(source, { maxBytes: MAX_BYTES, signal })
      : await this.files.read(source, MAX_BYTES);

    const widths = [...new Set(payload.widths)];
    const files = [];
    for (const width of widths) {
      signal.throwIfAborted();
      const { data, info } = await resize(picture, width, format);
      const path = `images/${id}/${width}.${format}`;
      const bytes = await this.files.write(path, [data], signal);
      files.push({ path, width: info.width, height: info.height, bytes });
      progress(files.length / widths.length, `${width} pixels wide`);
    }
    return { files };
  }
}

/** Never enlarges. Turns the picture as its metadata says, and leaves all metadata out. */
async function resize(picture: Buffer, width: number, format: PayloadOf<typeof ResizeImage>['format']) {
  try {
    const pipeline = sharp(picture, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
      .autoOrient()
      .resize({ width, withoutEnlargement: true })
      .timeout({ seconds: RESIZE_TIMEOUT_S });
    // JPEG knows no transparency, which would come out black.
    if (format === 'jpeg') pipeline.flatten({ background: 'white' });
    const options = format === 'avif' ? { effort: AVIF_EFFORT } : {};
    return await pipeline.toFormat(format, options).toBuffer({ resolveWithObject: true });
  } catch (error) {
    const { message } = error as Error;
    // A busy machine, perhaps.
    if (/^timeout/i.test(message)) throw error;
    throw new NonRetryableError(
      `The picture cannot be resized: ${message}. JPEG, PNG, WebP, AVIF and GIF of up to ${MAX_PIXELS} pixels can be`,
      { cause: error },
    );
  }
}
