/** Base chains by table. */
export const CHAINS: Readonly<Record<string, readonly string[]>> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** Where a target belongs. */
export const PLACES: Readonly<Record<string, readonly (readonly [table: string, chain: string])[]>> = {
  DNAT: [
    ['nat', 'PREROUTING'],
    ['nat', 'OUTPUT'],
  ],
  REDIRECT: [
    ['nat', 'PREROUTING'],
    ['nat', 'OUTPUT'],
  ],
  SNAT: [
    ['nat', 'POSTROUTING'],
    ['nat', 'INPUT'],
  ],
  MASQUERADE: [['nat', 'POSTROUTING']],
  NETMAP: [
    ['nat', 'PREROUTING'],
    ['nat', 'POSTROUTING'],
  ],
  CT: [
    ['raw', 'PREROUTING'],
    ['raw', 'OUTPUT'],
  ],
  NOTRACK: [['raw', 'PREROUTING']],
  TRACE: [['raw', 'OUTPUT']],
  TPROXY: [['mangle', 'PREROUTING']],
  CLUSTERIP: [['filter', 'INPUT']],
  REJECT: [['filter', 'INPUT']],
  SYNPROXY: [['filter', 'INPUT']],
  SECMARK: [['security', 'INPUT']],
  CONNSECMARK: [['security', 'INPUT']],
};
/** Targets that are usual in mangle. */
export const MANGLE = /^(CHECKSUM|CLASSIFY|DNPT|DSCP|ECN|HL|HMARK|MARK|SNPT|TCPMSS|TCPOPTSTRIP|TEE|TOS|TTL|CONNMARK)$/;

/** Protocols that an extension asks for. */
export const PROTOCOLS: Readonly<Record<string, readonly string[]>> = {
  tcp: ['tcp'],
  udp: ['udp'],
  sctp: ['sctp'],
  dccp: ['dccp'],
  icmp: ['icmp'],
  icmp6: ['icmpv6'],
  ah: ['ah'],
  esp: ['esp'],
  ipcomp: ['ipcomp'],
  mh: ['mobility-header', 'mh'],
  tcpmss: ['tcp'],
  osf: ['tcp'],
  multiport: ['tcp', 'udp', 'sctp', 'udplite', 'dccp'],
  ecn: ['tcp'],
  ECN: ['tcp'],
  TCPMSS: ['tcp'],
  TCPOPTSTRIP: ['tcp'],
  SYNPROXY: ['tcp'],
  TPROXY: ['tcp', 'udp'],
  DNAT: ['tcp', 'udp'],
  SNAT: ['tcp', 'udp'],
  MASQUERADE: ['tcp', 'udp'],
  REDIRECT: ['tcp', 'udp'],
  REJECT: ['tcp'],
  HMARK: ['tcp'],
};
