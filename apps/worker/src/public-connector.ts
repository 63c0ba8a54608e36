import { lookup as resolveName } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { NonRetryableError } from '#jobs';
import { isPublicAddress } from './public-address.js';

/** A connection that was not made because it would have led out of the public internet. */
export class RefusedTargetError extends NonRetryableError {
  override readonly name = 'RefusedTargetError';
  constructor(host: string) {
    super(
      `${host} is, or resolves to, an address that is not public: connections to it are refused. ` +
        'Use a public address, or set ALLOW_PRIVATE_TARGETS=true if your own network is meant to be reached.',
    );
  }
}

/**
 * Makes the function by which an undici dispatcher connects, one that connects to public addresses only.
 *
 * What is checked is the very address that the socket is then given, after any resolving, so neither a name whose
 * address changes in between (DNS rebinding) nor another spelling of an address (`0x7f.1`) gets past it.
 *
 * @param timeout milliseconds for resolving, connecting and TLS together.
 * @param resolve stands in for the system's resolver.
 * @returns a connector that fails with {@link RefusedTargetError}.
 */
export function publicConnector(
  timeout: number,
  resolve: LookupFunction = resolveName,
): buildConnector.connector {
  const connect = buildConnector({ timeout, lookup: publicOnly(resolve) });
  return (target, callback) => {
    // Sockets look up names only: an address in the URL never reaches `lookup`.
    if (isIP(target.hostname) && !isPublicAddress(target.hostname)) {
      callback(new RefusedTargetError(target.hostname), null);
    } else {
      connect(target, callback);
    }
  };
}

/** One private address among public ones refuses the name: which of them would be connected is left to chance. */
function publicOnly(resolve: LookupFunction): LookupFunction {
  return (hostname, options, callback) =>
    resolve(hostname, options, (error, found, family) => {
      if (error) return callback(error, found, family);
      const addresses = typeof found === 'string' ? [found] : found.map(({ address }) => address);
      if (addresses.every(isPublicAddress)) callback(null, found, family);
      else callback(new RefusedTargetError(hostname), []);
    });
}
