import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endpointChain, serviceChains } from './chain-names.ts';
import { sha256 } from './sha256.ts';

describe('sha256', () => {
  it('equals the digest of the platform', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (message) => {
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', message.slice()));
        expect(sha256(message)).toEqual(digest);
      }),
      { numRuns: 200 },
    );
  });
});

// As iptables-save of clusters of Kubernetes 1.28 to 1.31 showed them.
describe('chains of live clusters', () => {
  it.each([
    ['default/kubernetes:https', 'tcp', 'NPX46M4PTMTKRN6Y'],
    ['kube-system/kube-dns:dns', 'udp', 'TCOU7JCQXEZGVUNU'],
    ['kube-system/kube-dns:dns-tcp', 'tcp', 'ERIFXISQEP7F7OF4'],
    ['default/nginx', 'tcp', '2CMXP7HKUVJN7L6M'],
  ])('%s %s', (name, protocol, hash) => {
    expect(serviceChains(name, protocol)).toEqual({
      cluster: `KUBE-SVC-${hash}`,
      local: `KUBE-SVL-${hash}`,
      external: `KUBE-EXT-${hash}`,
      firewall: `KUBE-FW-${hash}`,
    });
  });

  it.each([
    ['10.244.0.20:80', 'BRZDTZFF2SFWJV4H'],
    ['10.244.0.21:80', 'OI2S57TQ5WH5FOMC'],
    ['10.244.0.22:80', '473MVOWGJMIYYUKK'],
    ['10.244.1.5:80', 'IZW656N5ZXYN5BEC'],
    ['10.244.1.6:80', 'C4VXQDW52UV45WW3'],
    ['10.244.2.6:80', 'UOZCNMEBPO5JGMU4'],
  ])('default/nginx tcp %s', (endpoint, hash) => {
    expect(endpointChain('default/nginx', 'tcp', endpoint)).toBe(`KUBE-SEP-${hash}`);
  });
});
