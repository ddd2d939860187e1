import { timeToLiveTarget } from './time-to-live.ts';

export const HL = timeToLiveTarget('HL', 6);
