import type { HostDescription } from '../host/description.ts';
import { yamlText } from '../host/yaml-text.ts';

/** A description as the text of a host.yaml, an interface, route or rule a line. `comment` stands above it. */
export function hostYaml(description: HostDescription, comment: string): string {
  const kept = Object.entries(description).filter(([, value]) => value != null && Object.keys(value).length > 0);
  return yamlText(Object.fromEntries(kept), {}, comment);
}
