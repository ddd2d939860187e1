/** Names of values of the TOS byte (RFC 1349), as the real tool prints them. */
export const TOS_NAMES: ReadonlyMap<number, string> = new Map([
  [0x10, 'Minimize-Delay'],
  [0x08, 'Maximize-Throughput'],
  [0x04, 'Maximize-Reliability'],
  [0x02, 'Minimize-Cost'],
  [0x00, 'Normal-Service'],
]);

/** Mask of a value given by name. */
export const NAMED_TOS_MASK = 0x3f;
