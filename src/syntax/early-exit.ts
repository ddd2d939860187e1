/** Ends a command in the middle of its options, as `-h` and `-V` do: thrown, caught by the command. */
export class EarlyExit extends Error {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  constructor(status: number, stdout: string, stderr = '') {
    super('');
    this.status = status;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}
