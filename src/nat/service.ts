import type { NatServices } from '../datapath/environment.ts';
import type { HookState } from '../datapath/hooks.ts';
import type { VerdictCode } from '../datapath/verdicts.ts';
import type { Packet } from '../packet/packet.ts';
import type { Observer } from '../trace/steps.ts';

/** NAT as the datapath drives it (nf_nat_core.c, nf_nat_proto.c). */
export interface Nat extends NatServices {
  /** Who hears of mappings; null: nobody. */
  observer: Observer | null;

  /**
   * An entry `nat-destination` or `nat-source` of a hook (nf_nat_inet_fn): `chain` runs the nat table's chain of the hook; it is called only
   * for a connection without a mapping of that kind (null: no rules). A verdict of it other than accept is returned as it is.
   * Otherwise the connection gets a null binding if it has none, and the packet its translation; ICMP errors get theirs inside and
   * outside, and never see the chain. After `nat-destination` the caller of OUTPUT routes again if addresses changed.
   */
  run(
    packet: Packet,
    at: HookState,
    manip: 'source' | 'destination',
    chain: ((packet: Packet, at: HookState) => VerdictCode) | null,
  ): VerdictCode;
}
