#!/usr/bin/env node
// Decides which bundle a command line needs, and loads only that one.
'use strict';
const path = require('node:path');

const called = path.basename(process.argv[1] ?? 'iptsim').replace(/\.js$/, '');
const args = process.argv.slice(2);
let name = called;
if (!/^(ip6?tables|ipset$|conntrack$)/.test(called)) {
  // `--dir DIR` and `--no-color` may stand before the command.
  let i = 0;
  while (i < args.length && (args[i] === '--dir' || args[i] === '--no-color' || args[i].startsWith('--dir='))) {
    i += args[i] === '--dir' ? 2 : 1;
  }
  name = args[i] ?? '';
  // `iptsim help run` is answered where `run` is.
  if (name === 'help' && /^(run|shims)$/.test(args[i + 1] ?? '')) name = args[i + 1];
}
const own = ['-h', '--help', '-V', '--version'];
const entry =
  /^(ip6?tables|save$|restore$)/.test(name) || (name.startsWith('-') && !own.includes(name))
    ? 'iptables'
    : name === 'ipset' || name === 'conntrack'
      ? name
      : name === 'run' || name === 'shims'
        ? 'run'
        : 'main';
require('./load.cjs')(entry);
