import { formatSeconds } from '../../packet/notation/time.ts';
import type { RuleTexts } from '../../trace/reporters/text.ts';
import type { Reporter } from '../../trace/run.ts';

/** What `xtables-monitor --trace` prints: each packet as a table saw it, and what the rules that it met came to. */
export function monitorReporter(write: (text: string) => void, rules: RuleTexts): Reporter {
  return {
    packet({ outcome }) {
      for (const { family, id, packet, table, chain, rule, handle, verdict } of outcome.traced) {
        // As the kernel numbers families: AF_INET, AF_INET6.
        const head = `${family === 4 ? 2 : 10} ${id.toString(16).padStart(8, '0')}`;
        if (packet !== null) write(`PACKET: ${head} ${packet}\n`);
        const text =
          rule === null
            ? ''
            : ` -${family} -t ${table} -A ${chain} ${rules.rule(family, table, chain, rule)}`.trimEnd();
        const what = rule === null ? 'policy' : `rule:0x${handle.toString(16)}`;
        write(` TRACE: ${head} ${table}:${chain}:${what}:${verdict} ${text}\n`);
      }
    },
  };
}

/** Only what LOG and TRACE write, with its level and the time of the packet, like `dmesg -r`. */
export function kernelLogReporter(write: (text: string) => void): Reporter {
  return {
    packet({ input, outcome }) {
      for (const { level, line } of outcome.log) write(`<${level}>[${formatSeconds(input.time)}] ${line}\n`);
    },
  };
}
