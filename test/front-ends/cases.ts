/** A front-end, its configuration, and what is done with it. */
export interface FrontEnd {
  name: string;
  packages: string[];
  /**
   * Variants of iptables it is run with: both where it calls plain `iptables`, else the one that it asks for by name where both
   * are there.
   */
  variants: readonly ('nft' | 'legacy')[];
  /** Files of its configuration, by absolute path. */
  files: Record<string, string>;
  /** Shell commands; the rules are saved after each one. */
  steps: string[];
}

export const HOST = {
  interfaces: {
    eth0: { mac: '02:00:00:00:00:01', addresses: ['192.0.2.1/24'] },
    eth1: { mac: '02:00:00:00:00:02', addresses: ['10.0.0.1/24'] },
  },
  routes: ['default via 192.0.2.254 dev eth0'],
};

const ufw: FrontEnd = {
  name: 'ufw',
  packages: ['ufw'],
  variants: ['nft', 'legacy'],
  files: {},
  steps: [
    'ufw default deny incoming && ufw default deny routed && ufw limit 22/tcp && ufw --force enable',
    "ufw allow 80,443/tcp comment 'web' && ufw allow from 10.0.0.0/24 to any port 3306 proto tcp && ufw allow in on eth1 to any port 53",
    'ufw reject out 25 && ufw route allow in on eth1 out on eth0 && ufw insert 1 deny from 203.0.113.4 && ufw allow from 2001:db8:1::/48',
    'ufw logging high && ufw status verbose',
    'ufw delete reject out 25 && ufw reload',
    'ufw disable',
  ],
};

const ferm: FrontEnd = {
  name: 'ferm',
  packages: ['ferm'],
  variants: ['legacy'],
  files: {
    '/etc/ferm/ferm.conf': `domain (ip ip6) table filter {
  chain INPUT {
    policy DROP;
    mod state state INVALID DROP;
    mod state state (ESTABLISHED RELATED) ACCEPT;
    interface lo ACCEPT;
    proto tcp dport (ssh http https) ACCEPT;
    proto udp dport 5000:5010 mod limit limit 10/second limit-burst 20 ACCEPT;
    mod comment comment "what is left" LOG log-prefix "dropped: ";
  }
  chain FORWARD policy DROP;
  chain guests { proto tcp dport 25 REJECT reject-with tcp-reset; RETURN; }
  chain FORWARD interface eth1 jump guests;
}
domain ip {
  table filter chain INPUT saddr (10.0.0.0/24 192.0.2.0/24) proto icmp ACCEPT;
  table nat chain POSTROUTING outerface eth0 saddr 10.0.0.0/24 MASQUERADE;
  table nat chain PREROUTING interface eth0 proto tcp dport 8080 DNAT to 10.0.0.20:80;
  table mangle chain PREROUTING proto tcp dport 22 TOS set-tos Minimize-Delay;
}
`,
  },
  steps: [
    'ferm /etc/ferm/ferm.conf',
    'ferm --flush /etc/ferm/ferm.conf',
    'ferm --slow /etc/ferm/ferm.conf',
    'ferm --noflush --domain ip /etc/ferm/ferm.conf',
  ],
};

const shorewall: FrontEnd = {
  name: 'shorewall',
  packages: ['shorewall', 'shorewall6', 'ipset'],
  variants: ['nft', 'legacy'],
  files: {
    '/etc/shorewall/zones': 'fw firewall\nnet ipv4\nloc ipv4\n',
    '/etc/shorewall/interfaces': '?FORMAT 2\nnet eth0 tcpflags,nosmurfs\nloc eth1 tcpflags\n',
    '/etc/shorewall/policy': '$FW all ACCEPT\nloc net ACCEPT\nnet all DROP info\nall all REJECT info\n',
    '/etc/shorewall/rules': `?SECTION NEW
Invalid(DROP) net all tcp
SSH(ACCEPT) net:198.51.100.0/24 $FW
Ping(ACCEPT) loc $FW
Web(DNAT) net loc:10.0.0.20
DROP net:+blocked all
ACCEPT net $FW tcp 443 - - 20/min:40
REDIRECT loc 3128 tcp www
`,
    '/etc/shorewall/snat': 'MASQUERADE 10.0.0.0/24 eth0\n',
    '/etc/shorewall6/zones': 'fw firewall\nnet ipv6\n',
    '/etc/shorewall6/interfaces': '?FORMAT 2\nnet eth0\n',
    '/etc/shorewall6/policy': '$FW net ACCEPT\nall all DROP info\n',
    '/etc/shorewall6/rules': '?SECTION NEW\nSSH(ACCEPT) net $FW\nACCEPT net $FW ipv6-icmp\n',
  },
  steps: [
    "sed -i 's/^STARTUP_ENABLED=.*/STARTUP_ENABLED=Yes/; s/^LOG_LEVEL=.*/LOG_LEVEL=info/' /etc/shorewall/shorewall.conf /etc/shorewall6/shorewall6.conf && ipset create blocked hash:net && ipset add blocked 203.0.113.0/28",
    'shorewall start',
    'shorewall drop 203.0.113.77 && shorewall show dynamic',
    'shorewall reload',
    'shorewall6 start',
    'shorewall stop',
    'shorewall clear && shorewall6 clear',
  ],
};

const firehol: FrontEnd = {
  name: 'firehol',
  packages: ['firehol', 'iprange'],
  variants: ['legacy'],
  files: {
    '/etc/firehol/firehol.conf': `version 6
ipv4 ipset create blocked hash:ip
ipv4 ipset add blocked 203.0.113.9
ipv4 blacklist full ipset:blocked
ipv4 masquerade eth0
ipv4 dnat to 10.0.0.20 inface eth0 proto tcp dport 8080
interface4 eth0 internet src not "10.0.0.0/8 192.168.0.0/16"
  protection strong 10/sec 10
  policy drop
  server "ssh http https" accept
  server ident reject with tcp-reset
  client all accept
interface46 eth1 lan
  policy reject
  server "dns ping" accept
  client all accept
router46 lan2net inface eth1 outface eth0
  route all accept
`,
  },
  steps: [
    "sed -i 's/^START_FIREHOL=.*/START_FIREHOL=YES/' /etc/default/firehol; firehol start",
    'firehol panic',
    'firehol start',
    'firehol stop',
  ],
};

export const FRONT_ENDS: readonly FrontEnd[] = [ufw, ferm, shorewall, firehol];
