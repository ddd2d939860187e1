/**
 * Lines of `conntrack -L -o save` as `conntrack -R` makes the same connections of them. It writes translated ports as those of the
 * reply, which are not read as such: there they belong to the translation (`-n`, `-g`).
 */
export function connectionLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const words = line.split(' ');
      const source = optionOf(words, '-n');
      const destination = optionOf(words, '-g');
      if (source === null && destination === null) return line;
      const [sport, dport] = [optionOf(words, '--sport'), optionOf(words, '--dport')];
      const [replySource, replyDestination] = [
        optionOf(words, '--reply-port-src'),
        optionOf(words, '--reply-port-dst'),
      ];
      const kept = without(words, ['-r', '-q', '--reply-port-src', '--reply-port-dst', '-n', '-g']);
      const at = kept.indexOf('-p') < 0 ? kept.length : kept.indexOf('-p');
      const translations = [
        ...(source === null ? [] : ['-n', withPort(source, replyDestination, sport)]),
        ...(destination === null ? [] : ['-g', withPort(destination, replySource, dport)]),
      ];
      return [...kept.slice(0, at), ...translations, ...kept.slice(at)].join(' ');
    });
}

function optionOf(words: readonly string[], name: string): string | null {
  const at = words.indexOf(name);
  return at < 0 ? null : (words[at + 1] ?? null);
}

function without(words: readonly string[], names: readonly string[]): string[] {
  return words.filter((word, index) => !names.includes(word) && !names.includes(words[index - 1] ?? ''));
}

function withPort(address: string, port: string | null, usual: string | null): string {
  if (port === null || port === usual) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
