import { Protocol } from '../../packet/protocol.ts';
import { defineOptionsMatch } from './extension-options.ts';

const HELP = `hbh match options:
[!] --hbh-len length            total length of this header
  --hbh-opts TYPE[:LEN][,TYPE[:LEN]...] 
                                Options and its length (list, max: 16)
`;

export const hbh = defineOptionsMatch('hbh', Protocol.hopByHop, HELP);
