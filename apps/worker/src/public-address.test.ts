import { expect, test } from '@jest/globals';
import { isPublicAddress } from './public-address.js';

test.each([
  ['loopback', '127.0.0.1'],
  ['loopback, any of it', '127.255.0.9'],
  ['private 10/8', '10.1.2.3'],
  ['private 172.16/12, first', '172.16.0.1'],
  ['private 172.16/12, last', '172.31.255.254'],
  ['private 192.168/16', '192.168.1.1'],
  ['link-local: cloud metadata', '169.254.169.254'],
  ['shared (CGNAT)', '100.64.0.1'],
  ['shared: metadata of Alibaba Cloud', '100.100.100.200'],
  ['metadata of Azure', '168.63.129.16'],
  ['metadata of Oracle Cloud', '192.0.0.192'],
  ['unspecified', '0.0.0.0'],
  ['this network', '0.1.2.3'],
  ['multicast', '224.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['benchmarking', '198.18.0.1'],
  ['documentation', '192.0.2.1'],
  ['reserved', '240.0.0.1'],
  ['6to4 relay', '192.88.99.1'],
  ['IPv6 unspecified', '::'],
  ['IPv6 loopback', '::1'],
  ['IPv6 loopback, spelled out', '0:0:0:0:0:0:0:1'],
  ['unique local fc00::/7, first', 'fc00::1'],
  ['unique local: metadata of AWS', 'fd00:ec2::254'],
  ['IPv6 link-local', 'fe80::1'],
  ['IPv6 link-local with a zone', 'fe80::1%lo'],
  ['IPv6 link-local, last', 'febf::1'],
  ['site-local', 'fec0::1'],
  ['IPv6 multicast', 'ff02::1'],
  ['v4-mapped loopback', '::ffff:127.0.0.1'],
  ['v4-mapped loopback in hex', '::ffff:7f00:1'],
  ['v4-mapped metadata', '::ffff:169.254.169.254'],
  ['v4-compatible loopback', '::7f00:1'],
  ['v4-translated loopback', '::ffff:0:127.0.0.1'],
  ['NAT64 of loopback', '64:ff9b::7f00:1'],
  ['NAT64 of a network of one’s own', '64:ff9b:1::7f00:1'],
  ['6to4 of loopback', '2002:7f00:1::'],
  ['Teredo', '2001:0:1::1'],
  ['IPv6 documentation', '2001:db8::1'],
  ['IPv6 discard', '100::1'],
  ['outside of what IANA gave out', '4000::1'],
  ['a name', 'localhost'],
  ['a number', '2130706433'],
  ['an address in brackets', '[2606:4700:4700::1111]'],
  ['nothing', ''],
])('is not public: %s (%s)', (_, address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each([
  '1.1.1.1',
  '8.8.8.8',
  '172.15.0.1',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700:4700::1111',
  '2a00:1450::1',
])('is public: %s', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test('a v4-mapped public address is public', () => {
  expect(isPublicAddress('::ffff:8.8.8.8')).toBe(true);
});
