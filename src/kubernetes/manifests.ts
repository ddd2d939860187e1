import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import { pathText } from '../host/description.ts';
import { offsetOf } from '../network/yaml.ts';
import { type Fail, Fields, ManifestError } from './fields.ts';

/** An object of the Kubernetes API. */
export interface Manifest {
  kind: string;
  fields: Fields;
}

type Path = readonly (string | number)[];

/**
 * The objects of a file as `kubectl get -o yaml` or `-o json` prints them: one or several documents, lists taken apart. Throws
 * ManifestError.
 */
export function readManifests(text: string, filename: string): Manifest[] {
  const lines = new LineCounter();
  const at = (offset: number): string => `${filename}:${lines.linePos(offset).line || 1}`;
  const manifests: Manifest[] = [];
  const readValue = (value: unknown, document: () => Document.Parsed): void => {
    const failIn =
      (start: Path, name: string): Fail =>
      (path, message) => {
        const field = pathText(path.slice(start.length));
        const words = [at(offsetOf(document().contents, path)), name, field, message];
        return new ManifestError(words.filter((word) => word !== '').join(': '));
      };
    if (value !== null) take(value, [], null, failIn, manifests);
  };
  const parse = (): Document.Parsed[] => [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })];
  const json = readJson(text);
  if (json !== undefined) {
    readValue(json, () => parse()[0]!);
    return manifests;
  }
  for (const document of parse()) {
    const [error] = document.errors;
    if (error !== undefined) throw new ManifestError(`${at(error.pos[0])}: ${error.message}`);
    readValue(document.toJS({ maxAliasCount: 100 }), () => document);
  }
  return manifests;
}

/** JSON is YAML, but this is the way that is twenty times as fast; undefined if it is none. */
function readJson(text: string): unknown {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function take(
  value: unknown,
  path: Path,
  listed: string | null,
  failIn: (start: Path, name: string) => Fail,
  manifests: Manifest[],
): void {
  const fields = new Fields(value, path, failIn(path, ''));
  // The items of a ServiceList itself do not repeat their kind.
  const kind = fields.text('kind') ?? listed;
  if (kind === null) throw fields.error(null, 'no object of Kubernetes: "kind" is missing');
  if (!kind.endsWith('List') || !fields.has('items')) {
    const metadata = fields.map('metadata');
    const name = [metadata.text('namespace'), metadata.text('name')].filter((word) => word !== null).join('/');
    manifests.push({ kind, fields: new Fields(value, path, failIn(path, `${kind} ${name}`.trim())) });
    return;
  }
  const of = kind === 'List' ? null : kind.slice(0, -'List'.length);
  fields.entries('items').forEach((item, index) => {
    take(item, [...path, 'items', index], of, failIn, manifests);
  });
}
