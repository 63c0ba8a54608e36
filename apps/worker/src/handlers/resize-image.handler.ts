import { ResizeImage } from '#contracts';
import { type Handler, type JobContext, JobHandler } from '#jobs';
import { FileStore } from '../file-store.js';
import { OutboundHttp } from '../outbound-http.js';

const MAX_BYTES = 20 * 1024 * 1024;

/** Makes smaller copies of a picture in `images/<job id>/<width>.<format>`. Another attempt makes the same files. */
@JobHandler(ResizeImage, { isolated: true })
export class ResizeImageHandler implements Handler<typeof ResizeImage> {
  constructor(
    private readonly files: FileStore,
    private readonly http: OutboundHttp,
  ) {}

  async handle({ id, payload, signal, progress }: JobContext<typeof ResizeImage>) {
    // libvips takes time and memory to load: only where pictures are resized.
    const { resize } = await import('../resize.js');
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
