import { timeToLiveTarget } from './time-to-live.ts';

export const TTL = timeToLiveTarget('TTL', 4);
