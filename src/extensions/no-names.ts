import type { NameServices } from './contract.ts';

/** A machine that knows no name at all: everything is a number. */
export const NO_NAMES: NameServices = {
  serviceByName: () => null,
  serviceByPort: () => null,
  protocolByName: () => null,
  protocolByNumber: () => null,
  hostByName: () => [],
  hostByAddress: () => null,
  networkByName: () => null,
  networkByAddress: () => null,
  userByName: () => null,
  userById: () => null,
  groupByName: () => null,
  groupById: () => null,
  file: () => null,
};
