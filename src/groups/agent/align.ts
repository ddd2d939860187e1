/** What becomes of a line on the way from one list to another. */
export interface Edit {
  kind: 'keep' | 'remove' | 'add';
  text: string;
}

/** The fewest removals and additions that turn one list of lines into another (Myers, "An O(ND) Difference Algorithm", 1986). */
export function align(from: readonly string[], to: readonly string[]): Edit[] {
  let head = 0;
  while (head < from.length && head < to.length && from[head] === to[head]) head++;
  let tail = 0;
  while (
    tail < from.length - head &&
    tail < to.length - head &&
    from[from.length - 1 - tail] === to[to.length - 1 - tail]
  ) {
    tail++;
  }
  const keep = (text: string): Edit => ({ kind: 'keep', text });
  return [
    ...from.slice(0, head).map(keep),
    ...alignMiddle(from.slice(head, from.length - tail), to.slice(head, to.length - tail)),
    ...from.slice(from.length - tail).map(keep),
  ];
}

function alignMiddle(from: readonly string[], to: readonly string[]): Edit[] {
  const most = from.length + to.length;
  /** Farthest place in `from` by diagonal, before each number of edits. */
  const history: Int32Array[] = [];
  const reach = new Int32Array(2 * most + 2);
  for (let edits = 0; edits <= most; edits++) {
    history.push(reach.slice());
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const at = most + diagonal;
      const down = diagonal === -edits || (diagonal !== edits && reach[at - 1]! < reach[at + 1]!);
      let x = down ? reach[at + 1]! : reach[at - 1]! + 1;
      while (x < from.length && x - diagonal < to.length && from[x] === to[x - diagonal]) x++;
      reach[at] = x;
      if (x >= from.length && x - diagonal >= to.length) return walkBack(from, to, history);
    }
  }
  return [];
}

function walkBack(from: readonly string[], to: readonly string[], history: readonly Int32Array[]): Edit[] {
  const most = from.length + to.length;
  const edits: Edit[] = [];
  let x = from.length;
  let y = to.length;
  for (let count = history.length - 1; count >= 0; count--) {
    const reach = history[count]!;
    const diagonal = x - y;
    const at = most + diagonal;
    const down = diagonal === -count || (diagonal !== count && reach[at - 1]! < reach[at + 1]!);
    const beforeX = count === 0 ? 0 : down ? reach[at + 1]! : reach[at - 1]!;
    const beforeY = count === 0 ? 0 : beforeX - (down ? diagonal + 1 : diagonal - 1);
    while (x > beforeX && y > beforeY) {
      edits.push({ kind: 'keep', text: from[--x]! });
      y--;
    }
    if (count === 0) break;
    if (down) edits.push({ kind: 'add', text: to[--y]! });
    else edits.push({ kind: 'remove', text: from[--x]! });
  }
  return edits.reverse();
}

/** The same as lines of `iptables-restore --noflush`, for a chain that has the lines kept and removed. */
export function editLines(chain: string, edits: readonly Edit[]): string[] {
  const lines: string[] = [];
  let last = edits.length - 1;
  while (last >= 0 && edits[last]!.kind === 'add') last--;
  let number = 1;
  edits.forEach(({ kind, text }, index) => {
    if (kind === 'remove') lines.push(`-D ${chain} ${number}`);
    else {
      if (kind === 'add') lines.push(index > last ? `-A ${chain} ${text}` : `-I ${chain} ${number} ${text}`);
      number++;
    }
  });
  return lines;
}
