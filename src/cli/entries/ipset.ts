import process from 'node:process';
import { ipset } from '../commands/ipset.ts';
import { readInvocation, runCommand } from '../entry-io.ts';

void runCommand(ipset, readInvocation(process.argv, process.env));
