import sharp from 'sharp';
import type { ResizeImage } from '#contracts';
import { NonRetryableError, type PayloadOf } from '#jobs';

/** Largest source, in pixels: what most cameras make, and 200 MB when decoded. Stops decompression bombs. */
const MAX_PIXELS = 50_000_000;
/** libvips can only be given a time limit, which its AVIF encoder ignores. 48 megapixels took 18 s as WebP, 25 s as AVIF. */
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

/**
 * Makes a smaller copy of a picture, never a larger one. Turns it as its metadata says, and leaves all metadata out.
 *
 * @throws NonRetryableError when it is no picture, or too large.
 */
export async function resize(
  picture: Buffer,
  width: number,
  format: PayloadOf<typeof ResizeImage>['format'],
) {
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
