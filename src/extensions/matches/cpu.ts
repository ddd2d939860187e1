import { defineMatch } from '../contract.ts';
import { not } from '../words.ts';

interface CpuMatch {
  cpu: number;
  invert: boolean;
}

const HELP = `cpu match options:
[!] --cpu number   Match CPU number
`;

export const cpu = defineMatch<CpuMatch>({
  name: 'cpu',
  families: [4, 6],
  options: [{ name: 'cpu', type: 'uint32', invert: true, mandatory: true }],
  init: () => ({ cpu: 0, invert: false }),
  parse(data, option) {
    data.cpu = option.number;
    data.invert = option.invert;
  },
  save: (data) => `${not(data.invert)} --cpu ${data.cpu}`,
  print: (data) => ` cpu ${data.invert ? '! ' : ''}${data.cpu}`,
  help: () => HELP,
  explain: (data) => `the packet is handled by ${data.invert ? 'a CPU other than' : 'CPU'} ${data.cpu}`,
  unknown: () => 'which CPU handles a packet is not simulated: it is CPU 0 unless the packet says otherwise',
  pure: true,
  compile({ cpu, invert }) {
    return (packet) => (packet.cpu === cpu) !== invert;
  },
});
