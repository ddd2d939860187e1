// Run by build.js: `code-cache.cjs BUNDLE ARGS...` runs a bundle once in an empty directory and writes BUNDLE.cache.
'use strict';
const fs = require('node:fs');
const Module = require('node:module');
const os = require('node:os');
const path = require('node:path');
const vm = require('node:vm');

const file = path.resolve(process.argv[2]);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'iptsim-build-'));
process.argv = [process.argv[0], 'iptsim', '--dir', directory, ...process.argv.slice(3)];
const script = new vm.Script(Module.wrap(fs.readFileSync(file, 'utf8')), { filename: file });
script.runInThisContext()(module.exports, require, module, file, path.dirname(file));
process.on('exit', () => {
  fs.writeFileSync(`${file}.cache`, script.createCachedData());
  fs.rmSync(directory, { recursive: true, force: true });
});
