import { Document, isMap, isPair, isSeq, type Node, visit } from 'yaml';

/**
 * A mapping as YAML text that people read: what lies below the given depth stands in one line.
 *
 * @param depthOf by key of the first level, how many levels of mappings stand on lines of their own below it; 1 where nothing is said
 * @param comment stands above all
 */
export function yamlText(
  value: Readonly<Record<string, unknown>>,
  depthOf: Readonly<Record<string, number>>,
  comment: string,
): string {
  const document = new Document(value);
  visit(document, {
    Pair(_key, pair, path) {
      const above = path.filter(isPair).map(({ key }) => String(key));
      const value = pair.value as Node | null;
      const depth = depthOf[above[0] ?? ''] ?? 1;
      if (above.length >= depth && above.length > 0 && (isMap(value) || isSeq(value))) value.flow = true;
    },
    Map(_key, map, path) {
      if (path.some(isSeq)) map.flow = true;
    },
  });
  if (comment !== '') document.commentBefore = comment.trimEnd().replaceAll(/^/gm, ' ');
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
