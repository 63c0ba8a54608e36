import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A certificate and its key, as files. */
export interface Certificate {
  certificate: string;
  key: string;
}

// RabbitMQ's package depends on it, so it is there where a broker is.
const openssl = (...args: string[]) => promisify(execFile)('openssl', args);
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A certificate authority of a test's own, valid for a day. */
export class Authority {
  private constructor(
    private readonly folder: string,
    private readonly own: Certificate,
  ) {}

  static async found(folder: string): Promise<Authority> {
    const own = { certificate: join(folder, 'ca.crt'), key: join(folder, 'ca.key') };
    const files = ['-keyout', own.key, '-out', own.certificate];
    await openssl('req', '-x509', ...NEW_KEY, '-days', '1', '-subj', '/CN=An authority of a test', ...files);
    return new Authority(folder, own);
  }

  /** What those that are to trust it are given. */
  get certificate(): string {
    return this.own.certificate;
  }

  /** Certifies a server of that host name. */
  async certify(host: string): Promise<Certificate> {
    const file = (extension: string) => join(this.folder, `${host}.${extension}`);
    await openssl('req', ...NEW_KEY, '-subj', `/CN=${host}`, '-keyout', file('key'), '-out', file('csr'));
    await writeFile(file('ext'), `subjectAltName = DNS:${host}\n`);
    const by = ['-CA', this.own.certificate, '-CAkey', this.own.key, '-set_serial', String(Date.now())];
    const files = ['-in', file('csr'), '-extfile', file('ext'), '-out', file('crt')];
    await openssl('x509', '-req', '-days', '1', ...by, ...files);
    return { certificate: file('crt'), key: file('key') };
  }
}
