/** IP sets: what the kernel does with them, the command that changes them, their text. */
export { SetKernel } from './kernel.ts';
export type { NarrowedText } from './narrow.ts';
export { narrowText } from './narrow.ts';
export type { SetSource, TraceSets } from './services.ts';
export { createSets } from './services.ts';
export type { SetHeaderLine, SetPlaces } from './text.ts';
export { loadSets, placesOf, readSetHeaders, SetTextError, saveSets, setReferences } from './text.ts';
