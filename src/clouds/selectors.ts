import type { Fields } from '../kubernetes/fields.ts';

/** A label selector of the Kubernetes API; one that is empty selects everything. */
export interface Selector {
  requirements: readonly Requirement[];
  /** In a few words, such as `app=web`. */
  text: string;
}

interface Requirement {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  values: readonly string[];
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** Reads `matchLabels` and `matchExpressions`. Throws ManifestError. */
export function readSelector(fields: Fields): Selector {
  const requirements: Requirement[] = [...fields.textMap('matchLabels')].map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  for (const entry of fields.list('matchExpressions')) {
    const operator = entry.word('operator', OPERATORS);
    const key = entry.text('key');
    if (operator === null || key === null) throw entry.error(null, 'key and operator are needed');
    const values = entry.texts('values');
    const needed = operator === 'In' || operator === 'NotIn';
    if (needed !== values.length > 0) {
      throw entry.error('values', needed ? `${operator} needs values` : `${operator} takes no values`);
    }
    requirements.push({ key, operator, values });
  }
  return { requirements, text: requirements.map(requirementText).join(' ') };
}

function requirementText({ key, operator, values }: Requirement): string {
  const name = key.replace(/^.*\//, '');
  if (operator === 'Exists') return name;
  if (operator === 'DoesNotExist') return `no-${name}`;
  return `${name}${operator === 'In' ? '=' : '-not-'}${values.join('-')}`;
}

/** Whether labels fulfil all requirements. `NotIn` also holds for what has no such label. */
export function selects({ requirements }: Selector, labels: ReadonlyMap<string, string>): boolean {
  return requirements.every((requirement) => fulfils(requirement, labels.get(requirement.key)));
}

function fulfils({ operator, values }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}
