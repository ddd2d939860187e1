import type { Command } from '../io.ts';
export const check: Command = () => 0;
