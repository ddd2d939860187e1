import { parseUnsigned } from '../../syntax/numbers.ts';
import { defineTarget, UsageError } from '../contract.ts';
import { compileMissing, warnMissing } from '../missing.ts';

/** `struct xt_led_info`. */
interface LedTarget {
  id: string;
  /** Milliseconds; -1: for ever. */
  delay: number;
  alwaysBlink: boolean;
}

const HELP = `LED target options:
--led-trigger-id name           suffix for led trigger name
--led-delay ms                  leave the LED on for this number of
                                milliseconds after triggering.
--led-always-blink              blink on arriving packets, even if
                                the LED is already on.
`;

const MAX_32 = 0xffffffff;
/** The field has 27 bytes, of which `netfilter-` and the final 0 take 11. */
const LONGEST_ID = 16;

function quoted(id: string): string {
  return `"${id.replace(/["\\]/g, '\\$&')}"`;
}

/** The kernel that is imitated has no LEDs (CONFIG_NEW_LEDS is not set), so its rules are read, and then refused. */
export const LED = defineTarget<LedTarget>({
  name: 'LED',
  families: [4, 6],
  options: [
    { name: 'led-trigger-id', type: 'string', mandatory: true, min: 0, max: LONGEST_ID },
    { name: 'led-delay', type: 'string' },
    { name: 'led-always-blink', type: 'none' },
  ],
  init(context) {
    warnMissing('LED', context);
    return { id: '', delay: 0, alwaysBlink: false };
  },
  parse(data, { name, text }) {
    switch (name) {
      case 'led-trigger-id':
        data.id = text;
        break;
      case 'led-delay': {
        const delay = text.toLowerCase().startsWith('inf') ? -1 : parseUnsigned(text, 0, MAX_32);
        if (delay === null) throw new UsageError(`Delay value must be within range 0..${MAX_32}`);
        data.delay = delay | 0;
        break;
      }
      case 'led-always-blink':
        data.alwaysBlink = true;
        break;
    }
  },
  save({ id, delay, alwaysBlink }) {
    const delayText = delay === -1 ? ' --led-delay inf' : delay > 0 ? ` --led-delay ${delay}` : '';
    return ` --led-trigger-id ${quoted(id)}${delayText}${alwaysBlink ? ' --led-always-blink' : ''}`;
  },
  print({ id, delay, alwaysBlink }) {
    const delayText = delay === -1 ? 'inf' : `${delay}ms`;
    return ` led-trigger-id:${quoted(id)} led-delay:${delayText}${alwaysBlink ? ' led-always-blink' : ''}`;
  },
  help: () => HELP,
  absent: true,
  explain: ({ id }) => `the light ${id} goes on`,
  compile: () => compileMissing('LED'),
});
