// A thread of `iptsim trace --jobs`.
'use strict';
require('./load.cjs')('part');
