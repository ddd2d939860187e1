/** Where a packet goes on when a hook has let it pass (the `okfn` of the hook). Plain data, so that a waiting packet can keep it. */
export const Stage = {
  /** PREROUTING is done: options, routing (ip_rcv_finish). */
  route: 0,
  /** INPUT is done: to sockets and protocols (ip_local_deliver_finish). */
  deliver: 1,
  /** FORWARD of a routed packet is done (ip_forward_finish). */
  forward: 2,
  /** OUTPUT is done (dst_output). */
  output: 3,
  /** POSTROUTING is done: fragments, neighbour, device (ip_finish_output). */
  transmit: 4,
  /** PREROUTING on a bridge is done (br_nf_pre_routing_finish). */
  bridgeInput: 5,
  /** FORWARD on a bridge is done (br_nf_forward_finish). */
  bridgeForward: 6,
  /** POSTROUTING on a bridge is done (br_nf_dev_queue_xmit). */
  bridgeTransmit: 7,
  /** POSTROUTING is done for the copy of a broadcast or multicast that the machine itself gets (dev_loopback_xmit). */
  loopBack: 8,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];
