/** An IP version; also names the ruleset family (`iptables` is 4, `ip6tables` is 6). */
export type Family = 4 | 6;

/**
 * An address as four 32-bit words in network order, like the kernel's `union nf_inet_addr`:
 * IPv6 uses all four, IPv4 only the first (the other three are 0).
 */
export type AddressWords = readonly [number, number, number, number];
