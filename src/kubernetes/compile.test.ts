import { describe, expect, it } from 'vitest';
import { compileNode, type ProxyNode } from './compile.ts';
import { readAddress } from './fields.ts';
import { nodeOf } from './nodes.ts';
import type { ProxySettings } from './proxy-settings.ts';
import { readCidrs } from './proxy-settings.ts';
import { readCluster } from './read.ts';

// Facts of kube-proxy v1.33 (pkg/proxy/iptables/proxier.go and what its tests expect).

const cidrs = (text: string) => readCidrs(text, (message) => new Error(message));

function service(spec: string, endpoints: string, status = '{}'): string {
  return `kind: Service
metadata: { name: svc, namespace: ns }
spec: ${spec}
status: ${status}
---
kind: EndpointSlice
metadata: { name: svc-x, namespace: ns, labels: { kubernetes.io/service-name: svc } }
addressType: IPv4
endpoints: ${endpoints}
ports: [{ name: p80, port: 80 }]
`;
}
const BOTH = '[{ addresses: [10.180.0.1] }, { addresses: [10.180.2.1], nodeName: here }]';
const NODE_PORT = '{ type: NodePort, clusterIP: 172.30.0.41, ports: [{ name: p80, port: 80, nodePort: 3001 }] }';

function rules(text: string, settings: Partial<ProxySettings> = {}, node: Partial<ProxyNode> = {}, family: 4 | 6 = 4) {
  const cluster = readCluster([{ name: 'x.yaml', text }]);
  const here = { ...nodeOf(cluster, 'here'), ...node };
  const compiled = compileNode({ ...cluster, settings: { ...cluster.settings, ...settings } }, here);
  return (family === 4 ? compiled.rules4 : compiled.rules6).split('\n');
}
const chain = (lines: readonly string[], start: string): string[] =>
  lines
    .filter((line) => line.startsWith(`-A ${start}`))
    .map((line) => line.replace(/ -m comment --comment ("[^"]*"|\S+)/, ''));
const LAST = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"';

describe('what every node has', () => {
  const lines = rules(service(NODE_PORT, BOTH));

  it('jumps in front of what the chains hold', () => {
    expect(lines.filter((line) => line.startsWith('-I FORWARD'))).toEqual([
      '-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
      '-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      '-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
      '-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
    ]);
  });

  it('the mark that asks for masquerading', () => {
    expect(chain(lines, 'KUBE-POSTROUTING')).toEqual([
      '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
      '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
      '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    ]);
    expect(chain(lines, 'KUBE-MARK-MASQ')).toEqual(['-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000']);
    expect(chain(rules(service(NODE_PORT, BOTH), { masqueradeBit: 31 }), 'KUBE-MARK-MASQ')).toEqual([
      '-A KUBE-MARK-MASQ -j MARK --or-mark 0x80000000',
    ]);
  });

  it('forwarding, where INVALID packets are dropped unless conntrack is liberal', () => {
    const rest = [
      '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT',
      '-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ];
    expect(chain(lines, 'KUBE-FORWARD')).toEqual(['-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP', ...rest]);
    expect(chain(rules(service(NODE_PORT, BOTH), { tcpBeLiberal: true }), 'KUBE-FORWARD')).toEqual(rest);
    expect(chain(rules(service(NODE_PORT, BOTH), { nfacct: true }), 'KUBE-FORWARD')[0]).toBe(
      '-A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP',
    );
  });
});

describe('node ports', () => {
  const text = service(NODE_PORT, BOTH);
  const interfaceAddresses = ['192.168.0.2', '192.168.1.2', '127.0.0.1', '2001:db8::1', '::1'].map(
    (word) => readAddress(word)!,
  );
  const jumps = (settings: Partial<ProxySettings>, family: 4 | 6 = 4): string[] =>
    rules(text, settings, { interfaceAddresses, nodeIps: [interfaceAddresses[0]!, interfaceAddresses[3]!] }, family)
      .filter((line) => line.includes(LAST))
      .map((line) => line.slice(`-A KUBE-SERVICES ${LAST} `.length));
  const firewall = (settings: Partial<ProxySettings>): number => chain(rules(text, settings), 'KUBE-FIREWALL').length;

  it('are open on all addresses of the node', () => {
    expect(jumps({})).toEqual(['-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS']);
    expect(firewall({})).toBe(1);
    expect(jumps({}, 6)).toEqual(['-m addrtype --dst-type LOCAL ! -d ::1/128 -j KUBE-NODEPORTS']);
  });

  it('are not on 127.0.0.0/8 if so wanted', () => {
    expect(jumps({ localhostNodePorts: false })).toEqual([
      '-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8 -j KUBE-NODEPORTS',
    ]);
    expect(firewall({ localhostNodePorts: false })).toBe(0);
  });

  it('are on those of some networks', () => {
    const some = cidrs('192.168.0.0/24,192.168.1.0/24,2001:db8::/64');
    expect(jumps({ nodePortAddresses: some })).toEqual([
      '-d 192.168.0.2 -j KUBE-NODEPORTS',
      '-d 192.168.1.2 -j KUBE-NODEPORTS',
    ]);
    expect(jumps({ nodePortAddresses: some }, 6)).toEqual(['-d 2001:db8::1 -j KUBE-NODEPORTS']);
    expect(firewall({ nodePortAddresses: some })).toBe(0);
    const loopback = cidrs('192.168.0.0/24,127.0.0.1/32');
    expect(jumps({ nodePortAddresses: loopback })).toEqual([
      '-d 127.0.0.1 -j KUBE-NODEPORTS',
      '-d 192.168.0.2 -j KUBE-NODEPORTS',
    ]);
    expect(firewall({ nodePortAddresses: loopback })).toBe(1);
    expect(jumps({ nodePortAddresses: loopback, localhostNodePorts: false })).toEqual([
      '-d 192.168.0.2 -j KUBE-NODEPORTS',
    ]);
    // Nothing said about IPv6: all of its addresses.
    expect(jumps({ nodePortAddresses: loopback }, 6)).toEqual([
      '-m addrtype --dst-type LOCAL ! -d ::1/128 -j KUBE-NODEPORTS',
    ]);
  });

  it("are on the node's main addresses", () => {
    expect(jumps({ nodePortAddresses: 'primary' })).toEqual(['-d 192.168.0.2 -j KUBE-NODEPORTS']);
    expect(jumps({ nodePortAddresses: 'primary' }, 6)).toEqual(['-d 2001:db8::1 -j KUBE-NODEPORTS']);
    expect(firewall({ nodePortAddresses: 'primary' })).toBe(0);
  });
});

describe("the node's own Pods", () => {
  const CLUSTER_IP = '-m tcp -p tcp -d 172.30.0.41 --dport 80';
  const masquerade = (settings: Partial<ProxySettings>, node: Partial<ProxyNode> = {}): string | undefined =>
    chain(rules(service(NODE_PORT, BOTH), settings, node), 'KUBE-SVC-')
      .find((line) => line.endsWith('KUBE-MARK-MASQ'))
      ?.replace(/^-A \S+ /, '');

  it('are known by the network of the cluster, of the node, by bridge or interface', () => {
    expect(masquerade({})).toBeUndefined();
    expect(masquerade({ clusterCidrs: cidrs('fd00::/48,10.244.0.0/16') })).toBe(
      `${CLUSTER_IP} ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ`,
    );
    expect(masquerade({ localDetection: { mode: 'NodeCIDR' } }, { podCidrs: cidrs('10.244.7.0/24') })).toBe(
      `${CLUSTER_IP} ! -s 10.244.7.0/24 -j KUBE-MARK-MASQ`,
    );
    expect(masquerade({ localDetection: { mode: 'BridgeInterface', bridge: 'cni0' } })).toBe(
      `${CLUSTER_IP} ! -i cni0 -j KUBE-MARK-MASQ`,
    );
    expect(masquerade({ localDetection: { mode: 'InterfaceNamePrefix', prefix: 'cali' } })).toBe(
      `${CLUSTER_IP} ! -i cali+ -j KUBE-MARK-MASQ`,
    );
    expect(masquerade({ masqueradeAll: true, clusterCidrs: cidrs('10.244.0.0/16') })).toBe(
      `${CLUSTER_IP} -j KUBE-MARK-MASQ`,
    );
  });

  it('go to a load balancer as if there were no policy', () => {
    const spec =
      '{ type: LoadBalancer, externalTrafficPolicy: Local, clusterIP: 172.30.0.41, ports: [{ name: p80, port: 80, nodePort: 3001 }] }';
    const text = service(spec, BOTH, '{ loadBalancer: { ingress: [{ ip: 1.2.3.4 }] } }');
    const external = chain(rules(text, { clusterCidrs: cidrs('10.0.0.0/8') }), 'KUBE-EXT-');
    expect(external.map((line) => line.replace(/^-A \S+ /, '').replace(/-[A-Z0-9]{16}$/, ''))).toEqual([
      '-s 10.0.0.0/8 -j KUBE-SVC',
      '-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ',
      '-m addrtype --src-type LOCAL -j KUBE-SVC',
      '-j KUBE-SVL',
    ]);
    // Without an endpoint of the node the last one is missing, and the filter drops.
    const elsewhere = rules(service(spec, '[{ addresses: [10.180.0.1], nodeName: there }]'), {
      clusterCidrs: cidrs('10.0.0.0/8'),
    });
    expect(chain(elsewhere, 'KUBE-EXT-')).toHaveLength(3);
    expect(chain(elsewhere, 'KUBE-EXTERNAL-SERVICES')).toEqual([
      '-A KUBE-EXTERNAL-SERVICES -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 3001 -j DROP',
    ]);
  });
});

describe('source ranges', () => {
  const spec =
    '{ type: LoadBalancer, loadBalancerSourceRanges: [192.168.0.0/24, 203.0.113.0/25], clusterIP: 172.30.0.41, ports: [{ name: p80, port: 80 }] }';
  const text = service(spec, BOTH, '{ loadBalancer: { ingress: [{ ip: 1.2.3.4 }, { ip: 1.2.3.5 }] } }');
  const firewall = (node: string): string[] =>
    chain(rules(text, {}, { nodeIps: [readAddress(node)!] }), 'KUBE-FW-').map((line) =>
      line.replace(/^-A \S+ ?/, '').replace(/-[A-Z0-9]{16}$/, ''),
    );

  it('let in who is in them, and the node by the address of the load balancer if it is', () => {
    const ranges = ['-s 192.168.0.0/24 -j KUBE-EXT', '-s 203.0.113.0/25 -j KUBE-EXT'];
    expect(firewall('192.168.1.2')).toEqual([...ranges, '']);
    expect(firewall('192.168.0.2')).toEqual([...ranges, '-s 1.2.3.4 -j KUBE-EXT', '-s 1.2.3.5 -j KUBE-EXT', '']);
    expect(chain(rules(text), 'KUBE-PROXY-FIREWALL')).toEqual([
      '-A KUBE-PROXY-FIREWALL -m tcp -p tcp -d 1.2.3.4 --dport 80 -j DROP',
      '-A KUBE-PROXY-FIREWALL -m tcp -p tcp -d 1.2.3.5 --dport 80 -j DROP',
    ]);
  });
});

describe('spread', () => {
  const many = (count: number): string =>
    `[${Array.from({ length: count }, (_, i) => `{ addresses: [10.1.${i >> 8}.${i & 255}] }`).join(', ')}]`;
  const SPEC = '{ clusterIP: 172.30.0.41, ports: [{ name: p80, port: 80 }] }';

  it('gives every endpoint the same chance', () => {
    const chances = chain(rules(service(SPEC, many(7))), 'KUBE-SVC-').map(
      (line) => / --probability (\S+)/.exec(line)?.[1],
    );
    expect(chances).toEqual([
      '0.1428571429',
      '0.1666666667',
      '0.2000000000',
      '0.2500000000',
      '0.3333333333',
      '0.5000000000',
      undefined,
    ]);
  });

  it('leaves comments out above 1,000 endpoints', () => {
    expect(rules(service(SPEC, many(1000))).filter((line) => line.includes('ns/svc:p80 -> '))).toHaveLength(1000);
    const lines = rules(service(SPEC, many(1001)));
    expect(lines.filter((line) => /^-A KUBE-SEP-.* -j DNAT/.test(line))).toHaveLength(1001);
    expect(lines.filter((line) => line.startsWith('-A KUBE-S') && line.includes('--comment'))).toHaveLength(2);
  });

  it('asks the endpoint that a client had before', () => {
    const spec = SPEC.replace(
      '{ ',
      '{ sessionAffinity: ClientIP, sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } }, ',
    );
    const lines = rules(service(spec, many(2)));
    expect(chain(lines, 'KUBE-SVC-').map((line) => line.replaceAll(/(KUBE-S..)-[A-Z0-9]{16}/g, '$1'))).toEqual([
      '-A KUBE-SVC -m recent --name KUBE-SEP --rcheck --seconds 60 --reap -j KUBE-SEP',
      '-A KUBE-SVC -m recent --name KUBE-SEP --rcheck --seconds 60 --reap -j KUBE-SEP',
      '-A KUBE-SVC -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP',
      '-A KUBE-SVC -j KUBE-SEP',
    ]);
    expect(chain(lines, 'KUBE-SEP-').map((line) => line.replaceAll(/(KUBE-S..)-[A-Z0-9]{16}/g, '$1'))).toEqual([
      '-A KUBE-SEP -s 10.1.0.0 -j KUBE-MARK-MASQ',
      '-A KUBE-SEP -m recent --name KUBE-SEP --set -m tcp -p tcp -j DNAT --to-destination 10.1.0.0:80',
      '-A KUBE-SEP -s 10.1.0.1 -j KUBE-MARK-MASQ',
      '-A KUBE-SEP -m recent --name KUBE-SEP --set -m tcp -p tcp -j DNAT --to-destination 10.1.0.1:80',
    ]);
  });
});
