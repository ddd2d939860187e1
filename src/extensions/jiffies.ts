/** Ticks a second of the kernel that is imitated (CONFIG_HZ=250). */
export const HZ = 250;
const MICROSECONDS_PER_JIFFY = 1_000_000 / HZ;

/** The tick count at a time in microseconds. */
export function jiffiesAt(microseconds: number): number {
  return Math.floor(microseconds / MICROSECONDS_PER_JIFFY);
}

/** Milliseconds in ticks, rounded up (`msecs_to_jiffies`). */
export function millisecondsToJiffies(milliseconds: number): number {
  return Math.ceil((milliseconds * HZ) / 1000);
}
