/** Names under which the emulated tools answer. */
export const TOOL_NAMES: readonly string[] = [
  ...['iptables', 'ip6tables'].flatMap((base) =>
    ['', '-legacy', '-nft'].flatMap((variant) => ['', '-save', '-restore'].map((part) => base + variant + part)),
  ),
  'iptables-xml',
  'iptables-apply',
  'ip6tables-apply',
  'ipset',
  'conntrack',
];

/** Programs with many names (iptables 1.8: `xtables-multi.h`), to which the tools' names are links. */
export const MULTI_NAMES: readonly string[] = ['xtables-nft-multi', 'xtables-legacy-multi', 'xtables-multi'];

/** Other programs that change a firewall; where the machine's own one could be reached, a shim refuses to run them. */
export const OTHER_FIREWALL_NAMES: readonly string[] = [
  'nft',
  'ebtables',
  'arptables',
  'ebtables-legacy',
  'arptables-legacy',
];
