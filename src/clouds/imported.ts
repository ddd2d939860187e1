/** A rule as network.yaml has it (docs/groups.md). */
export interface WrittenRule {
  direction?: 'egress';
  ethertype?: 'IPv4' | 'IPv6';
  protocol?: string;
  ports?: string;
  icmp?: string;
  remote?: string;
  except?: string[];
  remote_group?: string;
  prefix_list?: string;
  description?: string;
}

/** A group as network.yaml has it. */
export interface WrittenGroup {
  description?: string;
  stateful?: false;
  rules: WrittenRule[];
  /** Where no rule is about egress: nothing leaves. */
  egress?: 'none';
}

/** A machine that is in groups. */
export interface Machine {
  name: string;
  host: string;
  mac: string | null;
  /** Plain, without prefix lengths. */
  addresses: string[];
  groups: string[];
  portSecurity: boolean;
  pairs: { address: string; mac?: string }[];
  /** Ports on which it listens, such as `tcp/80`. */
  listen: string[];
}

/** What files of another cloud say, in this project's words. */
export interface ImportedGroups {
  groups: Map<string, WrittenGroup>;
  prefixLists: Map<string, string[]>;
  machines: Machine[];
  /** What could not be said as it was, each with file and entry. */
  warnings: string[];
}

export function nothingImported(): ImportedGroups {
  return { groups: new Map(), prefixLists: new Map(), machines: [], warnings: [] };
}

/** A file that is none of another cloud's; the message is one line. */
export class ImportError extends Error {}

/** A file to import. */
export interface ImportFile {
  name: string;
  text: string;
}

const VALID = /^[A-Za-z0-9_.-]{1,26}$/;

/** Gives everything a name of its own that network.yaml allows: what people call it where that will do, else what makes it unique. */
export class Names {
  readonly #taken = new Map<string, string>();
  readonly #byId = new Map<string, string>();

  /** The name of something that is called `wanted` and known as `id`; the same id has always the same name. */
  of(id: string, wanted: string | null): string {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const plain = (wanted ?? id).replaceAll(/[^A-Za-z0-9_.-]+/g, '-').replaceAll(/^-+|-+$/g, '');
    const candidates = [plain, id];
    let name = candidates.find((each) => VALID.test(each) && !this.#taken.has(each));
    for (let number = 1; name === undefined; number++) {
      const tail = `-${number}`;
      const shortened = `${plain.slice(0, 26 - tail.length) || 'group'}${tail}`;
      if (!this.#taken.has(shortened)) name = shortened;
    }
    this.#taken.set(name, id);
    this.#byId.set(id, name);
    return name;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}

/** A text or number as text; null for anything else, and for an empty text. */
export function wordOf(value: unknown): string | null {
  return (typeof value === 'string' && value !== '') || typeof value === 'number' ? String(value) : null;
}

/** Ends a group's rules: nothing leaves where no rule says so. */
export function closeGroup(group: WrittenGroup): WrittenGroup {
  return group.rules.some(({ direction }) => direction === 'egress') ? group : { ...group, egress: 'none' };
}

/** Without what is not there. */
export function ruleOf(parts: { [K in keyof WrittenRule]: WrittenRule[K] | null | undefined }): WrittenRule {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value != null)) as WrittenRule;
}
