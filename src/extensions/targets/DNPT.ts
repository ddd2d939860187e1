import { prefixTranslationTarget } from './prefix-translation.ts';

export const DNPT = prefixTranslationTarget('DNPT');
