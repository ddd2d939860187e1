// Loads a bundle of dist/ with V8's code cache, made by build.js: compiling would be half of the time of a short command.
'use strict';
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const vm = require('node:vm');

/** Runs `dist/NAME.cjs`, in this thread. */
module.exports = function load(name) {
  const file = path.join(__dirname, '..', 'dist', `${name}.cjs`);
  let cachedData;
  try {
    // V8 itself does not notice another bundle of the same length, so an older cache is left alone.
    if (fs.statSync(`${file}.cache`).mtimeMs >= fs.statSync(file).mtimeMs) {
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
};
