/** What a SYN of some operating system looks like (`struct nf_osf_user_finger`). Plain data. */
export interface Fingerprint {
  genre: string;
  version: string;
  subtype: string;
  /** Whether its packets have DF set. */
  dontFragment: boolean;
  /** Total length of the packet. */
  totalLength: number;
  ttl: number;
  window: { kind: 'plain' | 'mss' | 'mtu' | 'modulo'; value: number };
  /** TCP options in order, with their lengths. */
  options: { kind: number; length: number }[];
}

/** The kind under which fingerprints are kept as named state (name `fingerprints`, an array). */
export const OSF_STATE = 'osf';

/** Fingerprints as a machine's named state from the start. */
export function fingerprintState(fingerprints: readonly Fingerprint[]): Record<string, Record<string, unknown>> {
  return { [OSF_STATE]: { fingerprints } };
}

const OPTIONS: Readonly<Record<string, readonly [kind: number, length: number]>> = {
  N: [1, 1],
  E: [0, 1],
  M: [2, 4],
  W: [3, 3],
  S: [4, 2],
  T: [8, 10],
};

/**
 * Reads a file of fingerprints in the format of pf.os (nfnl_osf): `window:ttl:df:length:options:genre:version:subtype:details`,
 * one a line, `#` for comments. Lines that are of no such form are left out and named by number in `bad`.
 */
export function parseFingerprints(text: string): { fingerprints: Fingerprint[]; bad: number[] } {
  const fingerprints: Fingerprint[] = [];
  const bad: number[] = [];
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const fields = line.split(':');
    const fingerprint = fields.length < 8 ? null : parseFields(fields);
    if (fingerprint === null) bad.push(i + 1);
    else fingerprints.push(fingerprint);
  });
  return { fingerprints, bad };
}

function parseFields(fields: readonly string[]): Fingerprint | null {
  const [window = '', ttl = '', df = '', length = '', optionList = '', genre = '', version = '', subtype = ''] = fields;
  const options: Fingerprint['options'] = [];
  for (const text of optionList === '.' ? [] : optionList.split(',')) {
    const option = OPTIONS[text[0] ?? ''];
    if (option === undefined) return null;
    options.push({ kind: option[0], length: option[1] });
  }
  const parsedWindow = parseWindow(window);
  if (parsedWindow === null || !/^\d+$/.test(ttl) || !/^\d+$/.test(length)) return null;
  return {
    genre: genre.replace(/^[@*-]+/, ''),
    version,
    subtype,
    dontFragment: df === '1',
    totalLength: Number(length),
    ttl: Number(ttl),
    window: parsedWindow,
    options,
  };
}

function parseWindow(text: string): Fingerprint['window'] | null {
  const match = /^([ST%]?)(\d+|\*)$/.exec(text);
  if (match === null) return null;
  const kind = match[1] === 'S' ? 'mss' : match[1] === 'T' ? 'mtu' : match[1] === '%' ? 'modulo' : 'plain';
  return { kind, value: match[2] === '*' ? 0 : Number(match[2]) };
}
