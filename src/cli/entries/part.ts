import { parentPort, workerData } from 'node:worker_threads';
import { type PartOrder, playPart } from '../trace/part.ts';

// A thread of `iptsim trace --jobs`: plays its part and tells what came of it. Where there is nobody to tell, nothing is done (build.js).
const port = parentPort;
if (port !== null) playPart(workerData as PartOrder).then((report) => port.postMessage(report));
