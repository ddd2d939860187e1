import type { Command } from '../io.ts';
import { apply } from './apply.ts';
import { parseFamilyName } from './family-name.ts';
import { iptables } from './iptables.ts';
import { restore } from './restore.ts';
import { save } from './save.ts';
import { xml } from './xml.ts';

/** All commands of the iptables family, chosen by name. */
export const iptablesFamily: Command = (called, args, io) => {
  const name = parseFamilyName(called, io.variant);
  switch (name?.part) {
    case '':
      return iptables(name, args, io);
    case 'save':
      return save(name, called, args, io);
    case 'restore':
      return restore(name, called, args, io);
    case 'xml':
      return xml(args, io);
    case 'apply':
      return apply(name, called, args, io);
    default:
      io.err(`iptsim: unknown command '${called}'\n`);
      return 2;
  }
};
