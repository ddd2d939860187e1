import v8 from 'node:v8';
import vm from 'node:vm';

/** Below that nothing is gained. */
const LARGE = 64 << 20;

/**
 * Has V8 give up what loading a large ruleset left behind. It would otherwise keep that until the heap has grown by half again, and the peak of a
 * process's memory is what stays with it.
 */
export function collectGarbage(): void {
  if (v8.getHeapStatistics().used_heap_size < LARGE) return;
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  collect();
}
