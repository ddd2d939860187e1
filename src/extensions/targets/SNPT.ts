import { prefixTranslationTarget } from './prefix-translation.ts';

export const SNPT = prefixTranslationTarget('SNPT');
