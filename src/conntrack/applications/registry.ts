import type { ExpectationPolicy } from '../expectations.ts';
import { amanda } from './amanda.ts';
import type { Application } from './application.ts';
import { ftp } from './ftp.ts';
import { irc } from './irc.ts';
import { pptp } from './pptp.ts';
import { sip } from './sip.ts';
import { tftp } from './tftp.ts';

const APPLICATIONS: ReadonlyMap<string, Application> = new Map(
  [amanda, ftp, irc, pptp, sip, tftp].map((application): [string, Application] => [application.name, application]),
);

const DEFAULT_POLICY: ExpectationPolicy = { name: '', max: 0, timeout: 300 };

/** The helper of that name, or null: one that is known to the kernel but does nothing here. */
export function applicationOf(name: string): Application | null {
  return APPLICATIONS.get(name) ?? null;
}

export function policyOf(helper: string, index: number): ExpectationPolicy {
  return APPLICATIONS.get(helper)?.policies[index] ?? DEFAULT_POLICY;
}
