import type { ConntrackService } from '../../conntrack/service.ts';

/** What `-C` and `-S` print. */
export function figures(command: string, service: ConntrackService): string {
  const { statistics } = service;
  switch (command) {
    case 'count':
      return `${service.count}\n`;
    case 'expect-count':
      return `${service.expectations.count}\n`;
    case 'stats':
      return `cpu=0   \tfound=${statistics.found} invalid=${statistics.invalid} insert=${statistics.insert} insert_failed=${statistics.insertFailed} drop=${statistics.drop} early_drop=${statistics.earlyDrop} error=${statistics.error} search_restart=0 clash_resolve=${statistics.clashResolve} chaintoolong=0 \n`;
    default:
      return `cpu=0   \texpect_new=${statistics.expectNew} expect_create=${statistics.expectCreate} expect_delete=${statistics.expectDelete} \n`;
  }
}
