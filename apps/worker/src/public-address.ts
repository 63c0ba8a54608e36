import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Where IPv6 has addresses of the public internet today (RFC 4291, IANA). `::7f00:1`, a loopback, lies outside. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');
/** Azure's WireServer: a public address that answers virtual machines with their settings, tokens among them. */
const AZURE_WIRE_SERVER = '168.63.129.16';

/**
 * Whether an IP address belongs to the public internet, by IANA's registries of special-purpose addresses as
 * ipaddr.js knows them. Private, loopback, link-local, shared (CGNAT), unique local, multicast, unspecified,
 * documentation and reserved addresses do not; nor do those that carry another address inside (NAT64, 6to4,
 * Teredo), since what they lead to is the gateway's choice. A v4-mapped address counts as the IPv4 address.
 *
 * @param address an address as `node:net` writes it: no name, no brackets.
 * @returns false also for what is no address.
 */
export function isPublicAddress(address: string): boolean {
  if (!isIP(address)) return false;
  const ip = ipaddr.process(address);
  if (ip.range() !== 'unicast') return false;
  return ip instanceof ipaddr.IPv6 ? ip.match(GLOBAL_UNICAST) : ip.toString() !== AZURE_WIRE_SERVER;
}
