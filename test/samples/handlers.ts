import { type Handler, type JobContext, JobHandler, NonRetryableError } from '#jobs';
import {
  SampleCall,
  SampleFlaky,
  SampleMail,
  SampleNightly,
  SamplePicture,
  SampleReport,
} from './contracts.js';

/** The handlers of the samples. */

@JobHandler(SampleFlaky)
export class SampleFlakyHandler implements Handler<typeof SampleFlaky> {
  handle({ attempt, payload: { failures } }: JobContext<typeof SampleFlaky>) {
    if (attempt <= failures) throw new Error(`Attempt ${attempt} fails, as the first ${failures} do`);
    return { attempts: attempt };
  }
}

@JobHandler(SampleCall, {
  rateLimit: { max: 50, per: '1s', key: ({ url }) => new URL(url).host },
})
export class SampleCallHandler implements Handler<typeof SampleCall> {
  async handle({ id, payload: { url }, signal }: JobContext<typeof SampleCall>) {
    if (!process.env.SAMPLE_CALLS)
      throw new NonRetryableError('SAMPLE_CALLS is not set: set it for the workers, and replay the job');
    const { ok, status } = await fetch(url, { method: 'POST', headers: { 'x-job': id }, signal });
    if (!ok) throw new Error(`${url} answered ${status}`);
    return { status };
  }
}

@JobHandler(SampleMail)
export class SampleMailHandler implements Handler<typeof SampleMail> {
  handle({ id }: JobContext<typeof SampleMail>) {
    return { messageId: id };
  }
}

@JobHandler(SamplePicture)
export class SamplePictureHandler implements Handler<typeof SamplePicture> {
  handle() {}
}

@JobHandler(SampleReport)
export class SampleReportHandler implements Handler<typeof SampleReport> {
  handle() {}
}

@JobHandler(SampleNightly)
export class SampleNightlyHandler implements Handler<typeof SampleNightly> {
  handle() {}
}
