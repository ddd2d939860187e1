import { Protocol } from '../../packet/protocol.ts';
import { defineOptionsMatch } from './extension-options.ts';

const HELP = `dst match options:
[!] --dst-len length            total length of this header
  --dst-opts TYPE[:LEN][,TYPE[:LEN]...]
                                Options and its length (list, max: 16)
`;

export const dst = defineOptionsMatch('dst', Protocol.destinationOptions, HELP);
