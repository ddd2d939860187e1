#!/usr/bin/env node
// Decides which bundle a command line needs, and loads only that one.
'use strict';
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const vm = require('node:vm');

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
const file = path.join(__dirname, '..', 'dist', `${entry}.cjs`);
let cachedData;
try {
  // V8's code cache, made by build.js: compiling would be half of the time of a short command. V8 itself does not
  // notice another bundle of the same length, so an older cache is left alone.
  if (entry !== 'main' && fs.statSync(`${file}.cache`).mtimeMs >= fs.statSync(file).mtimeMs) {
    cachedData = fs.readFileSync(`${file}.cache`);
  }
} catch {
  // Built without one.
}
if (cachedData === undefined) {
  require(file);
} else {
  const script = new vm.Script(Module.wrap(fs.readFileSync(file, 'utf8')), { filename: file, cachedData });
  script.runInThisContext()(module.exports, require, module, file, path.dirname(file));
}
