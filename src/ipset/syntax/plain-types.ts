import type { SetTypeSyntax } from './type-syntax.ts';
import { ENTRY_OPTIONS } from './type-syntax.ts';

/** Command line of the bitmap types and of list:set, as in ipset 7.17. */
export const PLAIN_TYPES: readonly SetTypeSyntax[] = [
  {
    name: 'list:set',
    aliases: ['setlist'],
    family: 'none',
    elements: [{ parse: 'setName', print: 'name', field: 'name' }],
    create: { options: ['size', 'timeout', 'counters', 'comment', 'skbinfo'], need: [], allow: [], help: '' },
    add: {
      options: ['timeout', 'before', 'after', 'packets', 'bytes', 'elementComment', 'skbmark', 'skbprio', 'skbqueue'],
      need: ['name'],
      allow: ['name', 'before'],
      help: 'NAME [before|after NAME]',
    },
    del: { options: ['before', 'after'], need: ['name'], allow: ['name', 'before'], help: 'NAME [before|after NAME]' },
    test: { options: ['before', 'after'], need: ['name'], allow: ['name', 'before'], help: 'NAME [before|after NAME]' },
    usage: 'where NAME are existing set names.',
    revisions: [
      [3, 'skbinfo support'],
      [2, 'comment support'],
      [1, 'counters support'],
      [0, 'Initial revision'],
    ],
  },
  {
    name: 'bitmap:port',
    aliases: ['portmap'],
    family: 'none',
    elements: [{ parse: 'tcpUdpPort', print: 'port', field: 'port' }],
    create: {
      options: ['portRange', 'timeout', 'counters', 'comment', 'skbinfo', 'fromPort', 'toPort'],
      need: ['port', 'portTo'],
      allow: ['port', 'portTo'],
      help: 'range [PROTO:]FROM-TO',
    },
    add: { options: ENTRY_OPTIONS, need: ['port'], allow: ['port', 'portTo'], help: '[PROTO:]PORT|FROM-TO' },
    del: { options: [], need: ['port'], allow: ['port', 'portTo'], help: '[PROTO:]PORT|FROM-TO' },
    test: { options: [], need: ['port'], allow: ['port'], help: '[PROTO:]PORT' },
    usage:
      'where PORT, FROM and TO are port numbers or port names from /etc/services.\n      PROTO is only needed if a service name is used and it does not exist\n      as a TCP service; just the resolved service numer is stored in the set.',
    revisions: [
      [3, 'skbinfo support'],
      [2, 'comment support'],
      [1, 'counters support'],
      [0, 'Initial revision'],
    ],
  },
  {
    name: 'bitmap:ip,mac',
    aliases: ['macipmap'],
    family: 'inet',
    lastElementOptional: true,
    elements: [
      { parse: 'singleIp', print: 'ip', field: 'ip' },
      { parse: 'ether', print: 'ether', field: 'ether' },
    ],
    create: {
      options: ['ipRange', 'timeout', 'counters', 'comment', 'skbinfo', 'fromIp', 'toIp', 'network'],
      need: ['ip', 'ipTo'],
      allow: ['ip', 'ipTo'],
      help: 'range IP/CIDR|FROM-TO',
    },
    add: { options: ENTRY_OPTIONS, need: ['ip'], allow: ['ip', 'ether'], help: 'IP[,MAC]' },
    del: { options: [], need: ['ip'], allow: ['ip', 'ether'], help: 'IP[,MAC]' },
    test: { options: [], need: ['ip'], allow: ['ip', 'ether'], help: 'IP[,MAC]' },
    usage:
      'where IP, FROM and TO are IPv4 addresses (or hostnames),\n      CIDR is a valid IPv4 CIDR prefix.\n      MAC is a valid MAC address.',
    revisions: [
      [3, 'skbinfo support'],
      [2, 'comment support'],
      [1, 'counters support'],
      [0, 'Initial revision'],
    ],
  },
  {
    name: 'bitmap:ip',
    aliases: ['ipmap'],
    family: 'inet',
    elements: [{ parse: 'ip', print: 'ip', field: 'ip' }],
    create: {
      options: ['ipRange', 'netmask', 'timeout', 'counters', 'comment', 'skbinfo', 'fromIp', 'toIp', 'network'],
      need: ['ip', 'ipTo'],
      allow: ['ip', 'ipTo'],
      help: 'range IP/CIDR|FROM-TO',
    },
    add: { options: ENTRY_OPTIONS, need: ['ip'], allow: ['ip', 'ipTo'], help: 'IP|IP/CIDR|FROM-TO' },
    del: { options: [], need: ['ip'], allow: ['ip', 'ipTo'], help: 'IP|IP/CIDR|FROM-TO' },
    test: { options: [], need: ['ip'], allow: ['ip'], help: 'IP' },
    usage: 'where IP, FROM and TO are IPv4 addresses (or hostnames),\n      CIDR is a valid IPv4 CIDR prefix.',
    revisions: [
      [3, 'skbinfo support'],
      [2, 'comment support'],
      [1, 'counters support'],
      [0, 'Initial revision'],
    ],
  },
];
