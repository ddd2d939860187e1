import type { TargetExtension } from '../contract.ts';
import { CONNMARK } from './CONNMARK.ts';
import { CT, NOTRACK } from './CT.ts';
import { DNAT } from './DNAT.ts';
import { LOG } from './LOG.ts';
import { MARK } from './MARK.ts';
import { MASQUERADE } from './MASQUERADE.ts';
import { NETMAP } from './NETMAP.ts';
import { NFLOG } from './NFLOG.ts';
import { NFQUEUE } from './NFQUEUE.ts';
import { REDIRECT } from './REDIRECT.ts';
import { REJECT } from './REJECT.ts';
import { SET } from './SET.ts';
import { SNAT } from './SNAT.ts';

/** All target extensions, one line each. */
export const targets: readonly TargetExtension[] = [
  CONNMARK,
  CT,
  DNAT,
  LOG,
  MARK,
  MASQUERADE,
  NETMAP,
  NFLOG,
  NFQUEUE,
  NOTRACK,
  REDIRECT,
  REJECT,
  SET,
  SNAT,
];
