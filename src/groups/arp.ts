import type { VmPort } from './model.ts';
import { prefixText } from './service-text.ts';

/**
 * `ebtables-restore` text that keeps machines from sending frames with MACs of others, and ARP for addresses of others. The layout is that
 * of Neutron's Linux bridge agent (arp_protect.py): the hybrid driver leaves the same to flows of Open vSwitch. Empty without machines.
 */
export function arpRules(ports: readonly VmPort[]): string {
  const chains: string[] = [];
  const jumps: string[] = [];
  const rules: string[] = [];
  for (const { tap, pairs } of ports) {
    const macs = `neutronMAC-${tap}`;
    const senders = [...new Set(pairs.map(({ mac }) => mac))].sort().join(',');
    chains.push(`:${macs} DROP`);
    jumps.push(`-A PREROUTING -i ${tap} -j ${macs}`);
    rules.push(`-A ${macs} -i ${tap} --among-src ${senders} -j RETURN`, `-A ${macs} -j DROP`);
    const addresses = pairs.map(({ prefix }) => prefix).filter(({ family }) => family === 4);
    // Who may send from any address may claim any.
    if (addresses.some(({ length }) => length === 0)) continue;
    const arp = `neutronARP-${tap}`;
    chains.push(`:${arp} DROP`);
    jumps.push(`-A PREROUTING -p ARP -i ${tap} -j ${arp}`);
    for (const text of new Set(addresses.map(prefixText))) {
      rules.push(`-A ${arp} -p ARP --arp-ip-src ${text.replace(/\/32$/, '')} -j ACCEPT`);
    }
    rules.push(`-A ${arp} -j DROP`);
  }
  if (chains.length === 0) return '';
  const policies = ['PREROUTING', 'OUTPUT', 'POSTROUTING'].map((chain) => `:${chain} ACCEPT`);
  return ['*nat', ...policies, ...chains, ...jumps, ...rules, ''].join('\n');
}
