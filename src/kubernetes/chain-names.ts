import { sha256 } from './sha256.ts';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The 16 characters that kube-proxy makes of a text: SHA-256 in base32 (RFC 4648), cut off. A chain's name has 28 at most. */
function hashText(text: string): string {
  const digest = sha256(new TextEncoder().encode(text));
  let characters = '';
  for (let i = 0; i < 16; i++) {
    const bit = i * 5;
    const at = bit >> 3;
    const pair = (digest[at]! << 8) | digest[at + 1]!;
    characters += BASE32[(pair >> (11 - (bit & 7))) & 31];
  }
  return characters;
}

/** The chains of one port of a Service. */
export interface ServiceChains {
  /** All endpoints: traffic policy Cluster. */
  cluster: string;
  /** Endpoints of the node itself: traffic policy Local. */
  local: string;
  /** What comes to a node port, an external or a load balancer's address. */
  external: string;
  /** Source ranges of a load balancer. */
  firewall: string;
}

/**
 * @param name `default/shop:http`, without the colon if the port has no name
 * @param protocol in lower case
 */
export function serviceChains(name: string, protocol: string): ServiceChains {
  const hash = hashText(name + protocol);
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

/** @param endpoint `10.0.0.1:80`, `[2001:db8::1]:80` */
export function endpointChain(name: string, protocol: string, endpoint: string): string {
  return `KUBE-SEP-${hashText(name + protocol + endpoint)}`;
}
