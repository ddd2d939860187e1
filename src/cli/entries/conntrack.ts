import process from 'node:process';
import { conntrack } from '../commands/conntrack.ts';
import { readInvocation, runCommand } from '../entry-io.ts';

void runCommand(conntrack, readInvocation(process.argv, process.env));
