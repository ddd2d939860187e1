import type { Family } from '../packet/family.ts';
import type { Device } from './device.ts';

/**
 * Linux's defaults (6.18, a fresh network namespace, connection tracking loaded), with the contract's exception: no ICMP rate limits.
 * Per-interface names stand in DEVICE_DEFAULTS.
 */
const DEFAULTS: Readonly<Record<string, number>> = {
  'net.bridge.bridge-nf-call-arptables': 1,
  'net.bridge.bridge-nf-call-ip6tables': 1,
  'net.bridge.bridge-nf-call-iptables': 1,
  'net.bridge.bridge-nf-filter-pppoe-tagged': 0,
  'net.bridge.bridge-nf-filter-vlan-tagged': 0,
  'net.bridge.bridge-nf-pass-vlan-input-dev': 0,
  'net.core.default_qdisc': 0,
  'net.core.message_burst': 10,
  'net.core.message_cost': 5,
  'net.ipv4.fib_multipath_hash_policy': 0,
  'net.ipv4.fwmark_reflect': 0,
  'net.ipv4.icmp_echo_enable_probe': 0,
  'net.ipv4.icmp_echo_ignore_all': 0,
  'net.ipv4.icmp_echo_ignore_broadcasts': 1,
  'net.ipv4.icmp_errors_use_inbound_ifaddr': 0,
  'net.ipv4.icmp_ignore_bogus_error_responses': 1,
  // The three rate limits of ICMP are off unless host.yaml sets them (Linux: 1000, 6168, 1000 a second with a burst of 50).
  'net.ipv4.icmp_ratelimit': 0,
  'net.ipv4.icmp_ratemask': 6168,
  'net.ipv4.icmp_msgs_per_sec': 0,
  'net.ipv4.icmp_msgs_burst': 50,
  'net.ipv4.ip_default_ttl': 64,
  'net.ipv4.ip_early_demux': 1,
  'net.ipv4.ip_forward': 0,
  'net.ipv4.ip_forward_update_priority': 1,
  'net.ipv4.ip_forward_use_pmtu': 0,
  'net.ipv4.ip_local_port_range': 32768,
  'net.ipv4.ip_no_pmtu_disc': 0,
  'net.ipv4.ip_nonlocal_bind': 0,
  'net.ipv4.ip_unprivileged_port_start': 1024,
  'net.ipv4.ipfrag_high_thresh': 4194304,
  'net.ipv4.ipfrag_low_thresh': 3145728,
  'net.ipv4.ipfrag_max_dist': 64,
  'net.ipv4.ipfrag_time': 30,
  'net.ipv4.route.error_burst': 1250,
  'net.ipv4.route.error_cost': 250,
  'net.ipv4.route.min_adv_mss': 256,
  'net.ipv4.route.min_pmtu': 552,
  'net.ipv4.tcp_early_demux': 1,
  'net.ipv4.tcp_ecn': 2,
  'net.ipv4.tcp_sack': 1,
  'net.ipv4.tcp_syncookies': 1,
  'net.ipv4.tcp_timestamps': 1,
  'net.ipv4.tcp_window_scaling': 1,
  'net.ipv6.anycast_src_echo_reply': 0,
  'net.ipv6.auto_flowlabels': 1,
  'net.ipv6.bindv6only': 0,
  'net.ipv6.flowlabel_reflect': 0,
  'net.ipv6.fwmark_reflect': 0,
  'net.ipv6.icmp.echo_ignore_all': 0,
  'net.ipv6.icmp.echo_ignore_anycast': 0,
  'net.ipv6.icmp.echo_ignore_multicast': 0,
  'net.ipv6.icmp.error_anycast_as_unicast': 0,
  'net.ipv6.icmp.ratelimit': 0,
  'net.ipv6.ip6frag_high_thresh': 4194304,
  'net.ipv6.ip6frag_low_thresh': 3145728,
  'net.ipv6.ip6frag_time': 60,
  'net.ipv6.max_dst_opts_length': 2147483647,
  'net.ipv6.max_dst_opts_number': 8,
  'net.ipv6.max_hbh_length': 2147483647,
  'net.ipv6.max_hbh_opts_number': 8,
  'net.ipv6.route.mtu_expires': 600,
  'net.netfilter.nf_conntrack_acct': 0,
  'net.netfilter.nf_conntrack_buckets': 262144,
  'net.netfilter.nf_conntrack_checksum': 1,
  'net.netfilter.nf_conntrack_events': 2,
  'net.netfilter.nf_conntrack_expect_max': 4096,
  'net.netfilter.nf_conntrack_frag6_high_thresh': 4194304,
  'net.netfilter.nf_conntrack_frag6_low_thresh': 3145728,
  'net.netfilter.nf_conntrack_frag6_timeout': 60,
  'net.netfilter.nf_conntrack_generic_timeout': 600,
  'net.netfilter.nf_conntrack_gre_timeout': 30,
  'net.netfilter.nf_conntrack_gre_timeout_stream': 180,
  'net.netfilter.nf_conntrack_icmp_timeout': 30,
  'net.netfilter.nf_conntrack_icmpv6_timeout': 30,
  'net.netfilter.nf_conntrack_log_invalid': 0,
  'net.netfilter.nf_conntrack_max': 262144,
  'net.netfilter.nf_conntrack_sctp_timeout_closed': 10,
  'net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed': 3,
  'net.netfilter.nf_conntrack_sctp_timeout_cookie_wait': 3,
  'net.netfilter.nf_conntrack_sctp_timeout_established': 210,
  'net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent': 30,
  'net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent': 3,
  'net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd': 3,
  'net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent': 3,
  'net.netfilter.nf_conntrack_tcp_be_liberal': 0,
  'net.netfilter.nf_conntrack_tcp_ignore_invalid_rst': 0,
  'net.netfilter.nf_conntrack_tcp_loose': 1,
  'net.netfilter.nf_conntrack_tcp_max_retrans': 3,
  'net.netfilter.nf_conntrack_tcp_timeout_close': 10,
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait': 60,
  'net.netfilter.nf_conntrack_tcp_timeout_established': 432000,
  'net.netfilter.nf_conntrack_tcp_timeout_fin_wait': 120,
  'net.netfilter.nf_conntrack_tcp_timeout_last_ack': 30,
  'net.netfilter.nf_conntrack_tcp_timeout_max_retrans': 300,
  'net.netfilter.nf_conntrack_tcp_timeout_syn_recv': 60,
  'net.netfilter.nf_conntrack_tcp_timeout_syn_sent': 120,
  'net.netfilter.nf_conntrack_tcp_timeout_time_wait': 120,
  'net.netfilter.nf_conntrack_tcp_timeout_unacknowledged': 300,
  'net.netfilter.nf_conntrack_timestamp': 0,
  'net.netfilter.nf_conntrack_udp_timeout': 30,
  'net.netfilter.nf_conntrack_udp_timeout_stream': 120,
  // Without effect: what a simulated machine logs is always heard, as that of the first namespace is.
  'net.netfilter.nf_log_all_netns': 1,
};

/** Defaults of net.ipv4.conf.* and net.ipv6.conf.* that are not 0, for an interface and for `all`. */
const DEVICE_DEFAULTS: Readonly<Record<Family, Readonly<Record<string, readonly [device: number, all: number]>>>> = {
  4: {
    accept_redirects: [1, 1],
    accept_source_route: [1, 0],
    secure_redirects: [1, 1],
    send_redirects: [1, 1],
    shared_media: [1, 1],
    igmpv2_unsolicited_report_interval: [10000, 10000],
    igmpv3_unsolicited_report_interval: [1000, 1000],
  },
  6: {
    accept_dad: [1, 0],
    accept_ra: [1, 1],
    accept_redirects: [1, 1],
    autoconf: [1, 1],
    dad_transmits: [1, 1],
    hop_limit: [64, 64],
    max_addresses: [16, 16],
    suppress_frag_ndisc: [1, 1],
  },
};

/** Settings of the whole machine that a simulation may look at. */
export const MACHINE_SYSCTLS: readonly string[] = Object.keys(DEFAULTS);

/** Settings of interfaces (`net.ipv4.conf.*`, `net.ipv6.conf.*`) that a simulation looks at. */
export const INTERFACE_SYSCTLS: Readonly<Record<Family, readonly string[]>> = {
  4: [
    'forwarding',
    'rp_filter',
    'accept_local',
    'accept_source_route',
    'bc_forwarding',
    'route_localnet',
    'log_martians',
    'send_redirects',
    'src_valid_mark',
  ],
  6: ['forwarding', 'force_forwarding', 'force_tllao', 'accept_source_route', 'suppress_frag_ndisc'],
};

/** How the kernel joins an interface's value with that of `all` (include/linux/inetdevice.h); where nothing stands the interface's holds. */
const COMBINATIONS: Readonly<Record<string, 'or' | 'and' | 'max'>> = {
  accept_local: 'or',
  accept_source_route: 'and',
  bc_forwarding: 'and',
  drop_unicast_in_l2_multicast: 'or',
  log_martians: 'or',
  mc_forwarding: 'and',
  promote_secondaries: 'or',
  proxy_arp: 'or',
  proxy_arp_pvlan: 'or',
  route_localnet: 'or',
  rp_filter: 'max',
  secure_redirects: 'or',
  send_redirects: 'or',
  shared_media: 'or',
  src_valid_mark: 'or',
};

/** `net/ipv4/conf/eth0.5/rp_filter` and `net.ipv4.conf.eth0/5.rp_filter` are the same name (sysctl(8)): path parts. */
function nameParts(name: string): string[] {
  const slash = name.indexOf('/');
  const dot = name.indexOf('.');
  if (slash >= 0 && (dot < 0 || slash < dot)) return name.split('/');
  return name.split('.').map((part) => part.replaceAll('/', '.'));
}

/** The sysctls of a machine: what host.yaml sets, in its order, over Linux's defaults. */
export class Sysctls {
  readonly #text = new Map<string, string>();
  readonly #values = new Map<string, number>();
  /** Per family: value by interface name and setting. */
  readonly #devices: Readonly<Record<Family, Map<string, number>>> = { 4: new Map(), 6: new Map() };

  constructor(settings: Readonly<Record<string, string | number>>) {
    for (const [name, value] of Object.entries(DEFAULTS)) this.#values.set(name, value);
    for (const [name, value] of Object.entries(settings)) this.#set(nameParts(name), String(value));
  }

  #set(parts: readonly string[], text: string): void {
    const name = parts.join('.');
    const value = Number.parseInt(text, 10) || 0;
    this.#text.set(name, text);
    this.#values.set(name, value);
    const [net, version, conf, device, setting] = parts;
    if (net !== 'net' || (version !== 'ipv4' && version !== 'ipv6')) return;
    const family: Family = version === 'ipv4' ? 4 : 6;
    if (name === 'net.ipv4.ip_forward') this.#setForwarding(4, value);
    else if (conf === 'conf' && device !== undefined && setting !== undefined && parts.length === 5) {
      if (device === 'all' && setting === 'forwarding') this.#setForwarding(family, value);
      else this.#devices[family].set(`${device} ${setting}`, value);
    }
  }

  /** Forwarding for all interfaces: a new value of `all` is written to each of them and to `default`. */
  #setForwarding(family: Family, value: number): void {
    const devices = this.#devices[family];
    for (const key of devices.keys()) if (key.endsWith(' forwarding')) devices.set(key, value);
    devices.set('default forwarding', value);
    devices.set('all forwarding', value);
    this.#values.set(`net.ipv${family}.conf.all.forwarding`, value);
    if (family === 4) this.#values.set('net.ipv4.ip_forward', value);
  }

  /** The numeric value, 0 if it is unknown or no number. A value of several numbers gives the first. */
  value(name: string): number {
    const direct = this.#values.get(name);
    if (direct !== undefined) return direct;
    const [net, version, conf, device, setting] = nameParts(name);
    if (net === 'net' && conf === 'conf' && device !== undefined && setting !== undefined) {
      return this.#own(version === 'ipv6' ? 6 : 4, device, setting);
    }
    return this.#values.get(nameParts(name).join('.')) ?? 0;
  }

  /** The value as host.yaml has it; null if it is not set there. */
  text(name: string): string | null {
    return this.#text.get(nameParts(name).join('.')) ?? null;
  }

  #own(family: Family, device: string, setting: string): number {
    const devices = this.#devices[family];
    const defaults = DEVICE_DEFAULTS[family][setting];
    if (device === 'all') return devices.get(`all ${setting}`) ?? defaults?.[1] ?? 0;
    return devices.get(`${device} ${setting}`) ?? devices.get(`default ${setting}`) ?? defaults?.[0] ?? 0;
  }

  /** What holds on an interface: its own value (or `default`'s), joined with `all`'s as the kernel joins them. */
  onDevice(family: Family, device: Device, setting: string): number {
    const own = this.#own(family, device.name, setting);
    const combination = family === 4 ? COMBINATIONS[setting] : undefined;
    if (setting === 'accept_redirects' && family === 4) {
      const all = this.#own(4, 'all', setting);
      return this.#own(4, device.name, 'forwarding') ? Number(own !== 0 && all !== 0) : Number(own !== 0 || all !== 0);
    }
    if (combination === undefined) return own;
    const all = this.#own(family, 'all', setting);
    if (combination === 'max') return Math.max(own, all);
    return combination === 'or' ? own || all : own && all;
  }
}
