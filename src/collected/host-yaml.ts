import { Document, isMap, isPair, isSeq, type Node, visit } from 'yaml';
import type { HostDescription } from '../host/description.ts';

/** A description as the text of a host.yaml, an interface or address a line. `comment` stands above it. */
export function hostYaml(description: HostDescription, comment: string): string {
  const kept = Object.fromEntries(
    Object.entries(description).filter(([, value]) => value != null && Object.keys(value).length > 0),
  );
  const document = new Document(kept);
  visit(document, {
    Pair(_key, pair, path) {
      // Below the first level everything stands in one line.
      const depth = path.filter(isPair).length;
      const value = pair.value as Node | null;
      if (depth === 1 && (isMap(value) || isSeq(value))) value.flow = true;
    },
    Map(_key, map, path) {
      if (path.some(isSeq)) map.flow = true;
    },
  });
  if (comment !== '') document.commentBefore = comment.trimEnd().replaceAll(/^/gm, ' ');
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
