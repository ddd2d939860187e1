import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** Set types that a kernel may be built without, by the option of its configuration (net/netfilter/ipset/Kconfig). */
const OPTIONS: Readonly<Record<string, string>> = {
  'bitmap:ip': 'BITMAP_IP',
  'bitmap:ip,mac': 'BITMAP_IPMAC',
  'bitmap:port': 'BITMAP_PORT',
  'hash:ip': 'HASH_IP',
  'hash:ip,mac': 'HASH_IPMAC',
  'hash:ip,mark': 'HASH_IPMARK',
  'hash:ip,port': 'HASH_IPPORT',
  'hash:ip,port,ip': 'HASH_IPPORTIP',
  'hash:ip,port,net': 'HASH_IPPORTNET',
  'hash:mac': 'HASH_MAC',
  'hash:net': 'HASH_NET',
  'hash:net,iface': 'HASH_NETIFACE',
  'hash:net,net': 'HASH_NETNET',
  'hash:net,port': 'HASH_NETPORT',
  'hash:net,port,net': 'HASH_NETPORTNET',
  'list:set': 'LIST_SET',
};

/**
 * Set types that `ipset create` answers with "set type not supported", because the real tool would on this machine:
 * those that its kernel, where it tells its configuration and has sets built in, was built without. `IPTSIM_IPSET_WITHOUT` names
 * them instead (`""`: every type exists).
 */
export function missingSetTypes(env: Readonly<Record<string, string | undefined>>): Pick<ReadonlySet<string>, 'has'> {
  const given = env.IPTSIM_IPSET_WITHOUT;
  if (given !== undefined) return new Set(given.split(/\s+/).filter((name) => name !== ''));
  let configuration: string | null = null;
  return {
    has(type) {
      configuration ??= kernelConfiguration();
      return lacks(configuration, type);
    },
  };
}

/** Whether a kernel with that configuration has sets built in, but not this type. */
export function lacks(configuration: string, type: string): boolean {
  const option = OPTIONS[type];
  return (
    option !== undefined &&
    /^CONFIG_IP_SET=y$/m.test(configuration) &&
    new RegExp(`^# CONFIG_IP_SET_${option} is not set$`, 'm').test(configuration)
  );
}

function kernelConfiguration(): string {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('latin1');
  } catch {
    return ''; // Most kernels do not tell; then every type exists.
  }
}
