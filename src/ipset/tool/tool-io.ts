/** What the program needs of the world outside. */
export interface ToolIo {
  out(text: string): void;
  err(text: string): void;
  readStdin(): string;
  /** Text of a file; null if it cannot be read. */
  readFile(path: string): string | null;
  /** Writes a file; the reason if it cannot be, else null. */
  writeFile(path: string, text: string): string | null;
}

/** The end of the program, thrown from wherever it is. */
export class Exit extends Error {
  readonly status: number;
  constructor(status: number) {
    super('exit');
    this.status = status;
  }
}
