/** Ends the command: `message` goes to stderr behind the program's name; status 2 adds the `Try` line. */
export class ConntrackProblem extends Error {
  readonly status: number;
  /** What stands on stderr before it, as it is. */
  readonly before: string;
  constructor(message: string, status = 2, before = '') {
    super(message);
    this.status = status;
    this.before = before;
  }
}

export const PROGRAM = 'conntrack v1.4.7 (conntrack-tools)';
