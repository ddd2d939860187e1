import type { Family } from '../packet/family.ts';
import type { Collection } from './collection.ts';

/** Which of the two variants' rules are at work, and their text. */
export interface CollectedRuleset {
  text: string;
  variant: 'nft' | 'legacy' | null;
}

/** Names under which the rules of a family may lie, the collecting script's first. */
function filesOf(tool: string): { nft: string[]; legacy: string[] } {
  return { nft: [`${tool}-nft-save`, `${tool}-save`], legacy: [`${tool}-legacy-save`] };
}

/** `iptables-save` of a family. Where both variants have rules, nft's are taken: Linux asks both, iptsim has one ruleset. */
export function readRuleset(collection: Collection, family: Family): CollectedRuleset {
  const tool = family === 4 ? 'iptables' : 'ip6tables';
  const files = filesOf(tool);
  const find = (names: readonly string[]): { name: string; text: string } | null => {
    for (const name of names) {
      const text = collection.text(name);
      if (text !== null) return { name, text };
    }
    return null;
  };
  const nft = find(files.nft);
  const legacy = find(files.legacy);
  if (nft === null && legacy === null) {
    collection.noteFile(files.nft[0]!, 'no such file: no rules of iptables');
    return { text: '', variant: null };
  }
  const rules = (text: string | undefined): number => (text?.match(/^(\[\d+:\d+\] )?-A /gm) ?? []).length;
  const [inNft, inLegacy] = [rules(nft?.text), rules(legacy?.text)];
  if (inNft > 0 && inLegacy > 0) {
    collection.noteFile(
      legacy!.name,
      `${inLegacy} rules of the legacy variant beside ${inNft} of nft: on the machine packets pass both, here nft's alone`,
    );
  }
  const onlyLegacy = inNft === 0 && (inLegacy > 0 || !(nft?.text.includes('*') ?? false));
  const chosen = legacy !== null && onlyLegacy ? legacy : (nft ?? legacy!);
  if (chosen.text.trim() === '') return { text: '', variant: null };
  return { text: chosen.text, variant: chosen === legacy ? 'legacy' : 'nft' };
}

/** Tables of nftables that are none of iptables': packets pass them too, and nothing of them is simulated. */
export function tellOtherTables(collection: Collection): void {
  const text = collection.text('nft-tables') ?? '';
  text.split('\n').forEach((line, index) => {
    const match = /^table (\S+) (\S+)$/.exec(line.trim());
    if (match === null) return;
    const [, family, name] = match;
    if ((family === 'ip' || family === 'ip6') && /^(filter|nat|mangle|raw|security)$/.test(name!)) return;
    collection.noteFile('nft-tables', `table ${family} ${name} of nftables is not simulated`, `line ${index + 1}`);
  });
}

/** `ss -lntu`: sockets as host.yaml lists them, those of all addresses without one. */
export function readSockets(collection: Collection): { port: string; address: string | null; device: string | null }[] {
  const sockets = new Map<string, { port: string; address: string | null; device: string | null }>();
  for (const line of (collection.text('sockets') ?? '').split('\n')) {
    const match = /^(tcp|udp)\s+\S+\s+\S+\s+\S+\s+(\S+):(\d+)\s/.exec(line);
    if (match === null) continue;
    const [, protocol, end, port] = match;
    const [bare = '', device = null] = end!.replaceAll(/[[\]]/g, '').split('%');
    const address = bare === '*' || bare === '0.0.0.0' || bare === '::' ? null : bare;
    const socket = { port: `${protocol}/${port}`, address, device };
    sockets.set(JSON.stringify(socket), socket);
  }
  return [...sockets.values()];
}
