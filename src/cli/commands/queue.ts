import { Command } from 'commander';
import { NotationError } from '../../packet/notation/error.ts';
import { StateError } from '../../state/files.ts';
import { RepeatError } from '../../trace/repeat.ts';
import type { Command as CliCommand } from '../io.ts';
import { runAction } from '../own-command.ts';
import { runProgram } from '../queue/run.ts';
import { queueStatistics, statisticsText } from '../queue/stats.ts';
import { LoadError } from '../trace/load.ts';

const STATS = `
Connections are made of the packet, one 1 ms after the other; what varies is counted
up. Without a range the source address is.

Example:
  iptsim queue stats --rules fixtures/minuteman/rules.v4 \\
    --sets fixtures/minuteman/ipsets --host fixtures/minuteman/host.yaml \\
    'in=eth0 tcp 198.18.0.1:40000 > 11.0.0.1:80'
`;

const RUN = `
The program needs no root and no change: a library that is preloaded gives it sockets
to iptsim in place of those of the kernel's nfnetlink_queue. It is built with cc (or
$CC) when it is first needed. Programs that call the kernel without the C library
(statically linked ones, most of those in Go) are out of its reach.

Example:
  iptsim trace --queue 5='iptsim queue run -- ./my-filter --verbose' FILE
`;

interface RawStats {
  times: string;
  source?: string;
  destination?: string;
  sourcePort?: string;
  destinationPort?: string;
  rules?: string;
  rules6?: string;
  sets?: string;
  host?: string;
  seed?: string;
  json?: boolean;
}

/** `iptsim queue`. */
export const queue: CliCommand = async (_name, args, io) => {
  let status = 0;
  const command = new Command('iptsim queue').description('NFQUEUE: how it spreads connections, and its programs.');
  command
    .command('stats')
    .usage('[options] PACKET')
    .description('Shows how many connections fall into which queue.')
    .argument('<packet>', 'the opening packet, or a flow')
    .option('--times <n>', 'how many connections', '10000')
    .option('--source <range>', 'source addresses: a prefix, or FIRST-LAST')
    .option('--destination <range>', 'destination addresses')
    .option('--source-port <range>', 'source ports: FIRST-LAST')
    .option('--destination-port <range>', 'destination ports')
    .option('--rules <file>', 'IPv4 rules instead of rules.v4')
    .option('--rules6 <file>', 'IPv6 rules instead of rules.v6')
    .option('--sets <file>', 'sets instead of ipsets')
    .option('--host <file>', 'the machine instead of host.yaml')
    .option('--seed <n>', 'seed of the random generator, and so of the hash')
    .option('--json', 'the counts as JSON')
    .addHelpText('after', STATS)
    .action(async (packet: string, raw: RawStats) => {
      const statistics = await queueStatistics(statsOptions(packet, raw), io);
      io.out(raw.json ? `${JSON.stringify(statistics)}\n` : statisticsText(statistics));
    });
  command
    .command('run')
    .usage('-- PROGRAM [ARGS...]')
    .description('Runs a program written for libnetfilter_queue as a handler of `trace --queue`.')
    .argument('<program...>', 'the program and its arguments')
    .addHelpText('after', RUN)
    .action(async (program: string[]) => {
      status = await runProgram(program, io);
    });
  return runAction(command, args, io, () => status, [NotationError, RepeatError, LoadError, StateError]);
};

function statsOptions(packet: string, raw: RawStats): Parameters<typeof queueStatistics>[0] {
  const repeat: Record<string, unknown> = { times: number('times', raw.times) };
  if (raw.source !== undefined) repeat.source = raw.source;
  if (raw.destination !== undefined) repeat.destination = raw.destination;
  if (raw.sourcePort !== undefined) repeat['source-port'] = raw.sourcePort;
  if (raw.destinationPort !== undefined) repeat['destination-port'] = raw.destinationPort;
  return {
    packet,
    repeat,
    rules: raw.rules ?? null,
    rules6: raw.rules6 ?? null,
    sets: raw.sets ?? null,
    host: raw.host ?? null,
    seed: raw.seed === undefined ? null : number('seed', raw.seed),
  };
}

function number(name: string, text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff) return Number(text);
  throw new RepeatError(`--${name} ${text}: expected a whole number`);
}
