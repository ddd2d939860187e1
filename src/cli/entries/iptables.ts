import process from 'node:process';
import { iptablesFamily } from '../commands/family.ts';
import { readInvocation, runCommand } from '../entry-io.ts';

void runCommand(iptablesFamily, readInvocation(process.argv, process.env));
