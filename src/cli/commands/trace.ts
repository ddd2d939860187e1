import { Command, Option } from 'commander';
import { CaptureError } from '../../capture/source.ts';
import { NotationError } from '../../packet/notation/error.ts';
import { QueueError } from '../../queue/handler.ts';
import { StateError } from '../../state/files.ts';
import type { Command as CliCommand } from '../io.ts';
import { readArguments } from '../own-command.ts';
import { InputError, readInputs } from '../trace/inputs.ts';
import { LoadError } from '../trace/load.ts';
import { type RawTraceOptions, readTraceOptions, TraceUsageError } from '../trace/options.ts';
import { runTrace } from '../trace/session.ts';

const EXAMPLES = `
Packets:
  [in=IFACE] [out=IFACE] PROTO SRC[:PORT] > DST[:PORT] [FLAGS] [key=value...]
  Each packet is one argument. \`iptsim help packets\` lists all keys, and flows.

Examples:
  One packet, without any file:
    iptsim trace 'in=eth0 tcp 198.51.100.7:40000 > 203.0.113.10:80 S ttl=63'
  A whole connection through the rules of the state directory:
    iptsim trace 'flow in=eth1 tcp 10.0.0.5:40000 > 203.0.113.10:80'
  Captures in, captures out:
    iptsim trace --pcap eth0=in.pcap --pcap eth1=lan.pcap --write-pcap out
  Verdicts of many packets, and how fast:
    iptsim trace --pcap eth0=in.pcap --summary
    iptsim trace --pcap eth0=in.pcap --summary --jobs 4
  With the ports that a real machine's NAT has drawn:
    conntrack -L > list; iptsim trace --choices list --pcap eth0=in.pcap

Exit status: 0 all packets processed, whatever became of them; 1 an input could
not be read, or a handler of a queue failed; 2 wrong usage.
`;

function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

function traceCommand(): Command {
  return new Command('iptsim trace')
    .usage('[options] [FILE|PACKET...]')
    .description('Sends packets through the simulated machine and tells what becomes of them.')
    .argument(
      '[input...]',
      'packets; lists of packets (YAML, JSON, text), tcpdump text, captures; - for standard input',
    )
    .option('--rules <file>', 'IPv4 rules instead of rules.v4')
    .option('--rules6 <file>', 'IPv6 rules instead of rules.v6')
    .option('--sets <file>', 'sets instead of ipsets')
    .option('--host <file>', 'the machine instead of host.yaml')
    .option('--pcap <IFACE=FILE>', 'packets of a capture arrive there; local=FILE: the machine sends them', collect)
    .option('--write-pcap <dir>', 'write what leaves, one capture for each interface, and local.pcap')
    .option('--json', 'one JSON object a line for each packet')
    .addOption(new Option('--no-steps', 'JSON without "steps" (faster)'))
    .option('--summary', 'only one line at the end')
    .option('--events', 'only what changed in connection tracking, as conntrack -E -o timestamp has it')
    .option('--kernel-log', 'only the kernel log: LOG, TRACE, and what the kernel tells of by itself')
    .option('--xtables-monitor', 'only what xtables-monitor --trace prints for TRACE (nft)')
    .option('--commit', 'write counters, sets, connections and timers back to the state directory')
    .option('--seed <n>', 'seed of the random generator')
    .option('--choices <file>', 'NAT chooses ports as in this output of conntrack -L or conntrack -E')
    .option('--queue <A[-B]=HANDLER>', 'who answers NFQUEUE: accept, drop, a .js module, a command', collect)
    .option('--queue-timeout <seconds>', 'how long a handler may take for a packet (10)')
    .option('--queue-length <n>', 'how many packets a handler may keep waiting in a queue (1024)')
    .option('--queue-fail-open', 'more of them pass instead of being dropped')
    .option('--jobs <n>', 'with --summary: on so many cores, where no packet depends on packets of other flows (1)')
    .option('--at <time>', 'when packets without a time start: seconds or a UTC date')
    .option('-v, --verbose', 'also the rules that did not match, and why')
    .option('--no-color', 'no colours')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError(true);
}

/** `iptsim trace`. */
export const trace: CliCommand = async (_name, args, io) => {
  const command = traceCommand();
  const ended = readArguments(command, args, io);
  if (ended !== null) return ended;
  try {
    const options = readTraceOptions(command.opts<RawTraceOptions>(), command.args);
    await runTrace(options, readInputs(options), io);
    return 0;
  } catch (error) {
    if (error instanceof TraceUsageError) {
      io.err(`iptsim trace: ${error.message}\nTry \`iptsim trace --help'.\n`);
      return 2;
    }
    if (
      error instanceof InputError ||
      error instanceof CaptureError ||
      error instanceof LoadError ||
      error instanceof StateError ||
      error instanceof NotationError ||
      error instanceof QueueError
    ) {
      io.err(`iptsim trace: ${error.message}\n`);
      return 1;
    }
    throw error;
  }
};
