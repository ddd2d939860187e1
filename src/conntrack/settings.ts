import { MOST_ENTRIES } from './table.ts';

/** Sysctls of connection tracking with Linux's defaults, by the name after `net.netfilter.`; timeouts in seconds. */
export const CONNTRACK_SYSCTLS: Readonly<Record<string, number>> = {
  nf_conntrack_acct: 0,
  nf_conntrack_buckets: 262144,
  nf_conntrack_checksum: 1,
  nf_conntrack_events: 2,
  nf_conntrack_expect_max: 4096,
  nf_conntrack_generic_timeout: 600,
  nf_conntrack_gre_timeout: 30,
  nf_conntrack_gre_timeout_stream: 180,
  nf_conntrack_icmp_timeout: 30,
  nf_conntrack_icmpv6_timeout: 30,
  nf_conntrack_log_invalid: 0,
  nf_conntrack_max: 262144,
  nf_conntrack_sctp_timeout_closed: 10,
  nf_conntrack_sctp_timeout_cookie_echoed: 3,
  nf_conntrack_sctp_timeout_cookie_wait: 3,
  nf_conntrack_sctp_timeout_established: 210,
  nf_conntrack_sctp_timeout_heartbeat_sent: 30,
  nf_conntrack_sctp_timeout_shutdown_ack_sent: 3,
  nf_conntrack_sctp_timeout_shutdown_recd: 3,
  nf_conntrack_sctp_timeout_shutdown_sent: 3,
  nf_conntrack_tcp_be_liberal: 0,
  nf_conntrack_tcp_ignore_invalid_rst: 0,
  nf_conntrack_tcp_loose: 1,
  nf_conntrack_tcp_max_retrans: 3,
  nf_conntrack_tcp_timeout_close: 10,
  nf_conntrack_tcp_timeout_close_wait: 60,
  nf_conntrack_tcp_timeout_established: 432000,
  nf_conntrack_tcp_timeout_fin_wait: 120,
  nf_conntrack_tcp_timeout_last_ack: 30,
  nf_conntrack_tcp_timeout_max_retrans: 300,
  nf_conntrack_tcp_timeout_syn_recv: 60,
  nf_conntrack_tcp_timeout_syn_sent: 120,
  nf_conntrack_tcp_timeout_time_wait: 120,
  nf_conntrack_tcp_timeout_unacknowledged: 300,
  nf_conntrack_timestamp: 0,
  nf_conntrack_udp_timeout: 30,
  nf_conntrack_udp_timeout_stream: 120,
};

/** The sysctls as the code needs them; times in microseconds. */
export interface Settings {
  /** May be switched on later (`-m connbytes` does). */
  accounting: boolean;
  timestamps: boolean;
  checksum: boolean;
  /** The protocol of which invalid packets are logged; 255: of all; 0: of none. */
  logInvalid: number;
  /** nf_conntrack_max, as far as the table has room (0 there: no limit). */
  max: number;
  buckets: number;
  expectMax: number;
  /** By `TcpState`; then `retrans` and `unacknowledged`. */
  tcp: Float64Array;
  tcpLoose: boolean;
  tcpLiberal: boolean;
  tcpIgnoreInvalidRst: boolean;
  tcpMaxRetrans: number;
  udp: number;
  udpStream: number;
  icmp: number;
  icmpv6: number;
  gre: number;
  greStream: number;
  generic: number;
  /** By `SctpState`. */
  sctp: Float64Array;
}

/** A tick of the kernel's clock in microseconds: it is taken to count 250 a second. */
export const JIFFY = 4000;

export const TCP_RETRANS = 10;
export const TCP_UNACKNOWLEDGED = 11;

/** Reads all settings at once. */
export function readSettings(sysctl: (name: string) => number): Settings {
  const value = (name: string) => sysctl(`net.netfilter.nf_conntrack_${name}`);
  const time = (name: string) => value(name) * 1e6;
  const tcp = (name: string) => time(`tcp_timeout_${name}`);
  const sctp = (name: string) => time(`sctp_timeout_${name}`);
  return {
    accounting: value('acct') !== 0,
    timestamps: value('timestamp') !== 0,
    checksum: value('checksum') !== 0,
    logInvalid: value('log_invalid'),
    max: Math.min(value('max') || MOST_ENTRIES, MOST_ENTRIES),
    buckets: value('buckets') || CONNTRACK_SYSCTLS.nf_conntrack_buckets!,
    expectMax: value('expect_max'),
    tcp: Float64Array.of(
      0,
      tcp('syn_sent'),
      tcp('syn_recv'),
      tcp('established'),
      tcp('fin_wait'),
      tcp('close_wait'),
      tcp('last_ack'),
      tcp('time_wait'),
      tcp('close'),
      tcp('syn_sent'),
      tcp('max_retrans'),
      tcp('unacknowledged'),
    ),
    tcpLoose: value('tcp_loose') !== 0,
    tcpLiberal: value('tcp_be_liberal') !== 0,
    tcpIgnoreInvalidRst: value('tcp_ignore_invalid_rst') !== 0,
    tcpMaxRetrans: value('tcp_max_retrans'),
    udp: time('udp_timeout'),
    udpStream: time('udp_timeout_stream'),
    icmp: time('icmp_timeout'),
    icmpv6: time('icmpv6_timeout'),
    gre: time('gre_timeout'),
    greStream: time('gre_timeout_stream'),
    generic: time('generic_timeout'),
    sctp: Float64Array.of(
      0,
      sctp('closed'),
      sctp('cookie_wait'),
      sctp('cookie_echoed'),
      sctp('established'),
      sctp('shutdown_sent'),
      sctp('shutdown_recd'),
      sctp('shutdown_ack_sent'),
      sctp('heartbeat_sent'),
    ),
  };
}
