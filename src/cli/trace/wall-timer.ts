/** A timer of the world outside: calls back once after so many milliseconds; the result cancels it. */
export function wallTimer(milliseconds: number, callback: () => void): () => void {
  const timer = setTimeout(callback, milliseconds);
  return () => clearTimeout(timer);
}
